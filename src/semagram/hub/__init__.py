"""DOORS to other ecosystems: Hugging Face checkpoints in and out, x-transformers weights in.

Reading a checkpoint needs safetensors alone; transformers and x-transformers are imported only where one of their own
objects is handed in or made.
"""
