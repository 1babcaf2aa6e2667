"""Stock by the thousand: files in, looked at before they move anything, applied, taken back; files out."""
