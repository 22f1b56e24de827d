"""The report: one self-contained HTML file with images, plots and figures."""
