"""Writing video files with everything that the source contains."""
