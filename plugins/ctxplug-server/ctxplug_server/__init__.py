"""ctxplug over HTTP: a server, a viewer, a report, monitoring, and a client."""

__version__ = "0.1.0"

__all__ = ["__version__"]
