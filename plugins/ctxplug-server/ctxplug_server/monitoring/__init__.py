"""Monitoring: what the server and its memories take, how they grow, and what to do about it."""

from ctxplug_server.monitoring.meters import Meters
from ctxplug_server.monitoring.sampler import Sampler
from ctxplug_server.monitoring.sketch import Durations, Sketch
from ctxplug_server.monitoring.trend import Trend, trend_of

__all__ = ["Durations", "Meters", "Sampler", "Sketch", "Trend", "trend_of"]
