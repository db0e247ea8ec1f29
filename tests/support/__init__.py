"""What tests share: a tree as a value, a command run, a recipe from flat options."""
