"""What is wrong with a set-up, and the fix.

for finding in checks.findings(reader):
    print(finding.level, finding.what, finding.fix)
"""
