"""The parts of an x-transformers model, each read from the module itself: its settings as our config, its weights."""
