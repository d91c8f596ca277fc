"""Discovery: reads questions, looks up cached answers, and renders new ones."""
