"""The record's aggregate (one scan): how far it is, which files it has."""
