"""The two ways of filling gaps: any order, and left to right with candidates."""
