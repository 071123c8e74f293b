"""The summary of the property tests: what was played, from all workers."""


def pytest_terminal_summary(terminalreporter):
    counts = {}
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        if getattr(report, "when", None) == "call":
            for what, n in report.user_properties:
                counts[what] = counts.get(what, 0) + n
    if counts:
        cases = sum(n for what, n in counts.items() if "/" in what)
        terminalreporter.write_line(f"property: {cases} cases, " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
