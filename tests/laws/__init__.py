"""The laws: what every part and every pair of parts must keep to, whoever wrote it and whenever."""
