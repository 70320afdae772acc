"""Recipes: Python modules with one typed value ``EXPERIMENT``. A user's own ``my_idea.py`` works like these."""
