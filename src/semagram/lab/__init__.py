"""Many runs, one answer: training from a recipe, comparisons, reports."""
