"""`report.html`: what a run came to, as one file without scripts that a browser, a phone or a printer shows."""
