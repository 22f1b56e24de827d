"""The report: one HTML file that holds its pictures, its plots and its numbers."""
