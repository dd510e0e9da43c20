"""The configuration: its schema, reading it, and saying what is wrong with it."""

from enfilade.config.errors import ConfigError, Problem
from enfilade.config.load import load, loads, validate
from enfilade.config.schema import (
    App,
    AppLimits,
    Config,
    Fixed,
    HeaderRules,
    Limits,
    Log,
    Redirect,
    Route,
    Server,
    ServerLog,
    Site,
    Tls,
    WorkerRange,
)

__all__ = [
    "App",
    "AppLimits",
    "Config",
    "ConfigError",
    "Fixed",
    "HeaderRules",
    "Limits",
    "Log",
    "Problem",
    "Redirect",
    "Route",
    "Server",
    "ServerLog",
    "Site",
    "Tls",
    "WorkerRange",
    "load",
    "loads",
    "validate",
]
