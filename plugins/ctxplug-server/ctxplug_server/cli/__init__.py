"""The commands that this plugin adds to `ctxplug`; each is imported when it is asked for."""
