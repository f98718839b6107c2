"""A report: the viewer and what it shows of a store in one HTML file, to send to somebody."""

from ctxplug_server.report.writing import Report, write_report

__all__ = ["Report", "write_report"]
