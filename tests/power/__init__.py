"""How far the isolation checker can be trusted: known answers under many seeds, and how soon a rare fault is seen."""
