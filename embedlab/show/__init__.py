"""Figures, tables and code on a page, in a terminal and in README."""
