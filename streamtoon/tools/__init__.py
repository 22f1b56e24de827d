"""Tools of the other commands: previews, scores, benchmarks, data sets, facts about the machine."""
