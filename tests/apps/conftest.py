"""A browser for the page of `dysr demo`."""

from ..browser import driver as driver
