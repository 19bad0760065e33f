"""Holds CycloneDX documents to the 1.6 JSON schema: validate.py FILE..."""

import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

validator = JsonStrictValidator(SchemaVersion.V1_6)
errors = {name: validator.validate_str(open(name).read()) for name in sys.argv[1:]}
for name, error in errors.items():
    if error:
        print(f"{name}: {str(error)[:1000]}")
sys.exit(any(errors.values()))
