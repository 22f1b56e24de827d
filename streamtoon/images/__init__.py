"""Still images and animations: reading, converting and writing with metadata."""
