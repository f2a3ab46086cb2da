"""The OpenAPI files as judges: is this answer one that the contract declares?"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

FOLDER = Path(__file__).parent


def example(name: str) -> Any:
    return json.loads((FOLDER / "examples" / f"{name}.json").read_text())


class Contract:
    def __init__(self, name: str) -> None:
        self.document = json.loads((FOLDER / f"{name}.openapi.json").read_text())

    def operations(self) -> set[tuple[str, str]]:
        paths = self.document["paths"]
        return {(method.upper(), path) for path, item in paths.items() for method in item}

    def check(self, method: str, path: str, status: int, media_type: str, body: bytes) -> None:
        """Fail unless status, media type and body are declared for this operation."""
        responses = self.document["paths"][path][method.lower()]["responses"]
        assert str(status) in responses, f"{method} {path} declares no {status}"
        content = responses[str(status)].get("content")
        if content is None:
            assert body == b""
            return
        assert media_type in content, f"{method} {path} {status} is not {media_type}"
        schema = content[media_type]["schema"]
        if media_type != "application/octet-stream":
            self.validate(schema, json.loads(body) if "json" in media_type else body.decode())

    def validate_as(self, name: str, value: Any) -> None:
        self.validate({"$ref": f"#/components/schemas/{name}"}, value)

    def validate(self, schema: dict[str, Any], value: Any) -> None:
        # The components come along, so that every $ref of the file resolves within the schema.
        whole = {**schema, "components": self.document["components"]}
        Draft202012Validator(whole, format_checker=FormatChecker()).validate(value)


@cache
def contract(name: str) -> Contract:
    return Contract(name)
