"""The only importers of clients of the outside; foreign errors are translated at this border."""
