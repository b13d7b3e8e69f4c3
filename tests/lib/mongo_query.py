"""The part of MongoDB's filters, projections and pipelines that the scripted server knows, on documents as bytes."""

import random

import mongo_wire as wire


class Refused(Exception):
    """What a server answers instead: {ok: 0, code, codeName, errmsg}."""

    def __init__(self, code, message, **more):
        super().__init__(message)
        self.code, self.message, self.more = code, message, more


TYPE_NAMES = {"double": 1, "string": 2, "object": 3, "array": 4, "binData": 5, "undefined": 6, "objectId": 7, "bool": 8, "date": 9, "null": 10,
              "regex": 11, "dbPointer": 12, "javascript": 13, "symbol": 14, "javascriptWithScope": 15, "int": 16, "timestamp": 17, "long": 18,
              "decimal": 19, "minKey": 255, "maxKey": 127}
NUMBERS = (wire.DOUBLE, wire.I32, wire.I64, wire.DECIMAL)


def _types(operand):
    """The type codes that a $type asks for."""
    values = operand.decode() if operand.type == wire.ARRAY else [operand.decode()]
    wanted = set()
    for value in values:
        if value == "number":
            wanted.update(NUMBERS)
        else:
            wanted.add(TYPE_NAMES[value] if isinstance(value, str) else int(value) & 0xFF)
    return wanted


def _is_nan(key):
    return key == (1, (0, 0))


def _ordered(found, operator, operand):
    """A comparison, which holds within one class of types only; with MinKey and MaxKey between all."""
    if found is None:
        return False
    a, b = wire.key(found), wire.key(operand)
    if a[0] != b[0] and operand.type not in (wire.MIN_KEY, wire.MAX_KEY):
        return False
    if _is_nan(a) or _is_nan(b):
        return operator in ("$gte", "$lte") and a == b
    if a == b:
        return operator in ("$gte", "$lte")
    return (a > b) == (operator in ("$gt", "$gte"))


def _equal(found, operand):
    if found is None:
        return operand.type == wire.NULL
    return wire.key(found) == wire.key(operand)


def _operator(found, operator, operand):
    if operator == "$eq":
        return _equal(found, operand)
    if operator == "$ne":
        return not _equal(found, operand)
    if operator in ("$gt", "$gte", "$lt", "$lte"):
        return _ordered(found, operator, operand)
    if operator in ("$in", "$nin"):
        return any(_equal(found, one) for one in wire.elements(operand.value_bytes)) == (operator == "$in")
    if operator == "$exists":
        return (found is not None) == bool(operand.decode())
    if operator == "$type":
        return found is not None and found.type in _types(operand)
    if operator == "$not":
        return not _condition(found, operand)
    raise Refused(2, f"unknown operator: {operator}")


def _condition(found, wanted):
    inner = list(wire.elements(wanted.value_bytes)) if wanted.type == wire.DOCUMENT else []
    if inner and inner[0].name.startswith("$"):
        return all(_operator(found, one.name, one) for one in inner)
    return _equal(found, wanted)


def matches(document, wanted):
    """Whether a document matches a filter; both are bytes. Of $jsonSchema only `required` is looked at."""
    for one in wire.elements(wanted):
        if one.name in ("$and", "$or", "$nor"):
            each = (matches(document, branch.value_bytes) for branch in wire.elements(one.value_bytes))
            holds = all(each) if one.name == "$and" else any(each) == (one.name == "$or")
        elif one.name == "$jsonSchema":
            holds = all(wire.field(document, name) is not None for name in one.decode().get("required", []))
        elif one.name == "$comment":
            continue
        elif one.name.startswith("$"):
            raise Refused(2, f"unknown top level operator: {one.name}")
        else:
            holds = _condition(wire.field(document, one.name), one)
        if not holds:
            return False
    return True


def sort(documents, by):
    """In the order of {field: 1 or -1}, by which what is not there is null."""
    for one in reversed(list(wire.elements(by))):
        if one.name == "$natural":
            return documents if one.decode() > 0 else documents[::-1]

        def value(document, path=one.name):
            found = wire.field(document, path)
            return wire.key(found) if found is not None else (0, None)
        documents = sorted(documents, key=value, reverse=one.decode() < 0)
    return documents


def project(document, wanted):
    """Fields of the top, taken or left out."""
    flags = {one.name: bool(one.decode()) for one in wire.elements(wanted)}
    takes = any(on for name, on in flags.items() if name != "_id") or (flags.get("_id") and len(flags) == 1)
    return wire.document_of(e.bytes for e in wire.elements(document) if flags.get(e.name, e.name == "_id" if takes else True))


def _count(documents, stage):
    return [wire.raw({stage.decode(): len(documents)})] if documents else []


def _group(documents, stage):
    """Of {_id: CONSTANT, NAME: {$sum: 1}} and sums of fields."""
    spec = stage.decode()
    made = {"_id": spec.pop("_id", None)}
    if isinstance(made["_id"], (str, dict)):
        raise Refused(2, "this script makes one group only")
    for name, how in spec.items():
        what = how["$sum"]
        values = [wire.field(d, what[1:]) for d in documents] if isinstance(what, str) else []
        made[name] = sum(v.decode() for v in values if v is not None and v.type in NUMBERS) if isinstance(what, str) else what * len(documents)
    return [wire.raw(made)] if documents else []


STAGES = {
    "$match": lambda documents, stage: [d for d in documents if matches(d, stage.value_bytes)],
    "$sort": lambda documents, stage: sort(documents, stage.value_bytes),
    "$project": lambda documents, stage: [project(d, stage.value_bytes) for d in documents],
    "$limit": lambda documents, stage: documents[:stage.decode()],
    "$skip": lambda documents, stage: documents[stage.decode():],
    "$sample": lambda documents, stage: random.sample(documents, min(len(documents), stage.decode()["size"])),
    "$count": _count,
    "$group": _group,
}


def pipeline(documents, stages):
    """stages: documents of one field each, as bytes."""
    for stage in stages:
        one = next(wire.elements(stage))
        if one.name not in STAGES:
            raise Refused(40324, f"Unrecognized pipeline stage name: '{one.name}'")
        documents = STAGES[one.name](documents, one)
    return documents
