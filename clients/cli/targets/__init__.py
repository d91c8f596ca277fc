"""The command of binding targets."""
