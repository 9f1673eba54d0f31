"""The HTTP service: webhooks, the API, and the console."""
