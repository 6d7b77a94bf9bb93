"""JSON Schemas of the contracts' messages, with their comments, rules and examples."""

from __future__ import annotations

import re
from typing import Any

from protobuf import DescEnum, DescField, DescFieldValueList, DescFieldValueMap, DescMessage, Registry, ScalarType

from gateway.contracts import descriptors
from gateway.contracts.fields import Kind, kind_of
from gateway.reference import comments

Schema = dict[str, Any]

_REQUIRED, _OUTPUT_ONLY, _INPUT_ONLY, _IDENTIFIER = 2, 3, 4, 8  # google.api.FieldBehavior
_INT64 = (
    ScalarType.INT64,
    ScalarType.UINT64,
    ScalarType.SINT64,
    ScalarType.FIXED64,
    ScalarType.SFIXED64,
)
_SCALARS: dict[ScalarType, Schema] = {
    ScalarType.BOOL: {"type": "boolean"},
    ScalarType.STRING: {"type": "string"},
    ScalarType.BYTES: {"type": "string", "contentEncoding": "base64"},
    ScalarType.FLOAT: {"type": "number", "format": "float"},
    ScalarType.DOUBLE: {"type": "number", "format": "double"},
}
_WELL_KNOWN: dict[str, Schema] = {
    "Timestamp": {"type": "string", "format": "date-time"},
    "Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$", "examples": ["900s"]},
    "FieldMask": {"type": "string", "examples": ["fullName,phone"]},
    "Struct": {"type": "object", "additionalProperties": True},
    "Value": {},
    "ListValue": {"type": "array", "items": {}},
    "Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
        "additionalProperties": True,
    },
    "Empty": {"type": "object"},
}
_RULES = {
    "min_len": "minLength",
    "max_len": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_pairs": "minProperties",
    "max_pairs": "maxProperties",
    "gte": "minimum",
    "lte": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "const": "const",
}
_FORMATS = {"email": "email", "uuid": "uuid", "uri": "uri", "hostname": "hostname", "ipv4": "ipv4", "ipv6": "ipv6"}
_EXAMPLE = re.compile(r"for example `([^`]+)`", re.IGNORECASE)


class Schemas:
    """Collects the schemas that are referred to."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._comments = comments.of(registry)
        self._described: dict[str, Schema] = {}

    def collected(self) -> dict[str, Schema]:
        """All schemas that were referred to, in the order of their names."""
        return dict(sorted(self._described.items()))

    def comment(self, name: str) -> str:
        """The comment in the contracts."""
        return self._comments.get(name, "")

    def refer(self, kind: Kind, *, partial: bool = False) -> Schema:
        """A reference to the schema of a type; `partial`: of a change, in which nothing is required."""
        if isinstance(kind, ScalarType):
            return dict(_scalar(kind))
        if isinstance(kind, DescMessage) and (known := self._well_known(kind)) is not None:
            return known
        name = kind.type_name + (".Change" if partial else "")
        if name not in self._described:
            self._described[name] = {}  # stands in while a message that holds itself is described
            if isinstance(kind, DescEnum):
                self._described[name] = self._enum(kind)
            else:
                self._described[name] = self.message(kind, partial=partial)
        return {"$ref": f"#/components/schemas/{name}"}

    def message(self, message: DescMessage, *, without: frozenset[str] = frozenset(), partial: bool = False) -> Schema:
        """The schema of a message, less the fields `without`."""
        properties: dict[str, Schema] = {}
        required = []
        for field in message.fields:
            behaviors = self.behaviors(field)
            if field.name in without or (partial and behaviors & {_OUTPUT_ONLY, _IDENTIFIER}):
                continue
            properties[field.json_name] = self.field(field)
            if _REQUIRED in behaviors and not partial:
                required.append(field.json_name)
        schema: Schema = {"type": "object"}
        if text := self.comment(message.type_name):
            schema["description"] = text
        schema["properties"] = properties
        if required:
            schema["required"] = required
        return schema

    def field(self, field: DescField) -> Schema:
        """The schema of a field: its type, comment, rules and whether it is read-only."""
        match field.value:
            case DescFieldValueList(element=element):
                schema: Schema = {"type": "array", "items": self.refer(element)}
            case DescFieldValueMap(value=value):
                schema = {"type": "object", "additionalProperties": self.refer(value)}
            case _:
                schema = self.refer(kind_of(field))
        text = self.comment(f"{field.parent.type_name}.{field.name}")
        if text:
            schema["description"] = text
        self._add_rules(schema, field)
        if (example := _EXAMPLE.search(text)) and schema.get("type") == "string":
            schema["examples"] = [example.group(1)]
        behaviors = self.behaviors(field)
        if _OUTPUT_ONLY in behaviors:
            schema["readOnly"] = True
        if _INPUT_ONLY in behaviors:
            schema["writeOnly"] = True
        if field.deprecated:
            schema["deprecated"] = True
        return schema

    def behaviors(self, field: DescField) -> set[int]:
        """The numbers of a field's `google.api.field_behavior`."""
        given = descriptors.option(self.registry, field.proto.options, "google.api.field_behavior")
        return {int(one) for one in given or ()}

    def is_required(self, field: DescField) -> bool:
        """Whether a field must be given."""
        return _REQUIRED in self.behaviors(field)

    def _well_known(self, message: DescMessage) -> Schema | None:
        if not message.type_name.startswith("google.protobuf."):
            if message.type_name == "google.api.HttpBody":
                return {"type": "string", "contentMediaType": "application/octet-stream"}
            return None
        if message.name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.name])
        return self.refer(kind_of(message.fields[0]))  # a wrapper is written as what it wraps

    def _enum(self, enum: DescEnum) -> Schema:
        lines = []
        for value in enum.values:
            text = self.comment(f"{enum.type_name}.{value.name}")
            lines.append(f"- `{value.name}`: {text}" if text else f"- `{value.name}`")
        text = "\n\n".join(part for part in (self.comment(enum.type_name), "\n".join(lines)) if part)
        return {"type": "string", "enum": [value.name for value in enum.values], "description": text}

    def _add_rules(self, schema: Schema, field: DescField) -> None:
        rules = descriptors.option(self.registry, field.proto.options, "buf.validate.field")
        if rules is None:
            return
        ignores_zero = bool(int(rules.ignore))
        texts = [f"Rule: {rule.message or rule.expression}." for rule in rules.cel]
        of_type: Any = rules.type.value if rules.type is not None else ()
        for option in of_type:
            value = of_type[option]
            if option.name in _RULES and not (ignores_zero and option.name == "min_len"):
                if schema.get("type") not in ("string",) or option.name.endswith("_len"):
                    schema[_RULES[option.name]] = value
            elif option.name == "pattern":
                schema["pattern"] = f"^$|{value}" if ignores_zero else value
            elif option.name == "in" and isinstance(value, list):
                schema["enum"] = ["", *value] if ignores_zero else list(value)
            elif option.name == "unique" and value:
                schema["uniqueItems"] = True
            elif option.name in _FORMATS and value and not ignores_zero:
                schema["format"] = _FORMATS[option.name]
        if texts:
            schema["description"] = "\n\n".join([schema.get("description", ""), *texts]).strip()


def _scalar(kind: ScalarType) -> Schema:
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind in _INT64:
        return {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
    return {"type": "integer", "format": "int32"}
