"""Tests mirror the packages; journeys, architecture and real services have their own folders."""
