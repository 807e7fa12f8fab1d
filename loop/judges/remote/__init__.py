"""A judge at an OpenAI-compatible server: requests that are tried again, limited, remembered and counted."""
