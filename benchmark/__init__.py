"""htbench: few-shot learners on identical test episodes, from one YAML grid to a table with honest intervals."""
