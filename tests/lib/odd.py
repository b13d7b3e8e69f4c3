"""The odd schema of tests/e2e/sql: one of everything."""

import pathlib

SQL = pathlib.Path(__file__).resolve().parents[1] / "e2e" / "sql"


def create(server, name, portable=False, options=""):
    """Makes the database. portable: only what every server of any version has."""
    server.sql("postgres", (SQL / "odd_roles.sql").read_text())
    server.create_db(name, options)
    server.sql(name, ("\\set portable 1\n" if portable else "") + (SQL / "odd.sql").read_text())
    return name


def drop(server, name):
    """Drops it, or a copy of it: a subscription holds its database."""
    if name in server.databases():
        disarm(server, name)
        server.drop_db(name)


def disarm(server, name):
    """Takes the subscription away without asking the other side."""
    for sub in server.sql(name, "select quote_ident(subname) from pg_subscription s join pg_database d on d.oid = subdbid "
                                "where datname = current_database()").splitlines():
        server.sql(name, f"alter subscription {sub} disable; alter subscription {sub} set (slot_name = none); drop subscription {sub}")


def drop_copies(server, *prefixes):
    """Drops every database whose name begins so."""
    for name in server.databases():
        if name.startswith(prefixes):
            drop(server, name)


def roles(server):
    """What belongs to the server: roles, memberships, settings of roles."""
    return server.sql("postgres", """
        select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil,
            shobj_description(oid, 'pg_authid') from pg_roles where rolname !~ '^pg_' order by 1;
        select roleid::regrole::text, member::regrole::text, admin_option from pg_auth_members where roleid >= 16384 order by 1, 2;
        select setrole::regrole::text, setconfig from pg_db_role_setting where setdatabase = 0 order by 1
    """)


