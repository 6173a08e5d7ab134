"""The report of a run as one HTML file that needs neither a network nor other files."""
