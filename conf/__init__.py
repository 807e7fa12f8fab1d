"""The control panel: Hydra groups and the demo's data. Only data lives here."""
