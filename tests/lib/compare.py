"""A second opinion about two databases: what pg_dump writes, COPY of each table, sequences, large objects, database settings.

Nothing here is shared with drtool. snapshot() takes the facts, same() compares two of them.
"""

import difflib
import hashlib
import re
import secrets

import pg

# Lines of pg_dump that differ without any difference in the database.
_NOISE = re.compile(r"^(\\(un)?restrict .*|-- Dumped (from|by) .*|-- Started on .*|-- Completed on .*)\n", re.M)

_RELATIONS = r"""
select format('%I.%I', nspname, relname)
    from pg_class c join pg_namespace n on n.oid = relnamespace
    where (relkind = 'r' or relkind = 'm' and relispopulated) and relpersistence <> 't'
        and nspname !~ '^pg_' and nspname <> 'information_schema'
    order by nspname collate "C", relname collate "C"
"""

_SEQUENCES = r"""
select format('select %L, last_value, is_called from %I.%I;', format('%I.%I', nspname, relname), nspname, relname)
    from pg_class c join pg_namespace n on n.oid = relnamespace
    where relkind = 'S' and relpersistence <> 't' and nspname !~ '^pg_'
    order by nspname collate "C", relname collate "C" \gexec
"""

_LARGE_OBJECTS = """
select m.oid, lomowner::regrole, lomacl, md5(lo_get(m.oid)), obj_description(m.oid, 'pg_largeobject')
    from pg_largeobject_metadata m order by m.oid
"""

_DATABASE = """
select 'encoding ' || pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit, datallowconn, datistemplate, pg_get_userbyid(datdba),
    (select array_agg(a::text order by a::text) from unnest(coalesce(datacl, acldefault('d', datdba))) a), shobj_description(oid, 'pg_database')
    from pg_database where datname = current_database();
select 'setting', coalesce(setrole::regrole::text, ''), unnest(setconfig) from pg_db_role_setting
    where setdatabase = (select oid from pg_database where datname = current_database()) order by 2, 3
"""


def schema(server, db, client=None):
    """The schema as pg_dump writes it. client: the server whose pg_dump is taken, where two versions are compared."""
    if client is None or client is server:
        text = server.pg_dump(db, "--schema-only")
    else:
        text = client.client("pg_dump", "--schema-only", "-h", server.sockdir, "-p", server.port, "-d", db)
        # An internal mark of recent minor versions, which the pg_dump of an older one takes for an option of the column.
        text = re.sub(r"^ALTER .* ALTER COLUMN .* SET \(pg_attver=\d+\);\n", "", text, flags=re.M)
    return _NOISE.sub("", text)


def tables(server, db):
    """{name: rows and SHA-256 of the sorted lines that COPY gives}. Bytes are compared as they are, whatever the encoding."""
    names = server.client("psql", "-XAtq0", "-d", f"dbname={pg._conninfo(db)}", "-c", _RELATIONS, text=False).split(b"\0")
    mark = secrets.token_hex(16).encode()
    script = b"".join(b"\\echo %s\ncopy (select * from only %s) to stdout;\n" % (mark, name) for name in names if name)
    encoding = server.sql(db, "show server_encoding")
    out = server.client("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", f"dbname={pg._conninfo(db)} client_encoding={encoding}", "-f", "-",
                        input=b"set timezone to utc; set datestyle to iso; set intervalstyle to postgres; set extra_float_digits to 3;\n" + script, text=False)
    parts = out.split(mark + b"\n")[1:]
    names = [name for name in names if name]
    assert len(parts) == len(names)
    sums = {}
    for name, part in zip(names, parts):
        lines = part.split(b"\n")[:-1]
        sums[name.decode(errors="surrogateescape")] = f"{len(lines)} rows, {hashlib.sha256(b'.'.join(sorted(lines))).hexdigest()}"
    return sums


def snapshot(server, db, client=None, database=True):
    """Everything to compare. database=False leaves out what belongs to the database itself (owner, settings, grants)."""
    facts = {"schema": schema(server, db, client), "sequences": server.sql(db, _SEQUENCES), "large objects": server.sql(db, _LARGE_OBJECTS)}
    if database:
        facts["database"] = server.sql(db, _DATABASE)
    facts.update(("table " + name, value) for name, value in tables(server, db).items())
    return facts


def differences(before, after):
    """What differs, as text to read."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, "(absent)"), after.get(name, "(absent)")
        if old == new:
            continue
        if "\n" in old + new:
            lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), "before", "after", lineterm="", n=2))[:60]
            found.append(f"{name}:\n" + "\n".join(lines))
        else:
            found.append(f"{name}: {old} -> {new}")
    return found


def same(before, after):
    """Fails with the differences."""
    found = differences(before, after)
    assert not found, "\n".join(found)
