"""MariaDB and MySQL: verify must fail when anything is not as it was: each kind of object is altered or removed in the restored copy in turn.

A failpoint holds verify between the load and the comparison; meanwhile the test alters the copy on the server, which serves as scratch server too.
Every alteration must be named among the differences.
"""

import re

import fault
import pytest
from failpoints import failpoints
from test_mysql import everything

pytestmark = pytest.mark.skipif(not failpoints(), reason="this build has no failpoints")

# What is done to the copy, and how verify must name it.
DATA = [
    ("update `all types` set f = 16777218 where id = 1", r"all types"),
    ("update parent set name = 'Zero' where id = 0", r"\bparent\b"),
    ("delete from child where a = 55", r"\bchild\b"),
    ("insert into no_key values (1, 'a')", r"\bno_key\b"),
    ("insert into empty_one values (1)", r"\bempty_one\b"),
    ("update pieces set at = '2026-01-02' where id = 2", r"\bpieces\b"),
    ("update flat set t = '' where t is null", r"\bflat\b"),
    ("update `odd ``name``/.#%é` set `a``b` = 'X' where `select` = 1", r"odd `name`|odd ``name``"),
]

TABLES = [
    ("alter table child drop key twice", r"index .*child.*twice.* missing"),
    ("alter table parent drop key by_prefix, add key by_prefix (name(4) desc)", r"index .*parent.*by_prefix"),
    ("alter table child drop key words", r"index .*child.*words"),
    ("alter table child drop foreign key to_parent", r"(constraint|foreign key).*to_parent.* missing"),
    ("alter table child drop constraint positive", r"(check|constraint).*positive.* missing"),
    ("alter table child alter column note set default 'other'", r"column child\.note"),
    ("alter table child comment 'other'", r"table child"),
    ("alter table parent modify name varchar(51) not null", r"column parent\.name"),
    ("alter table no_key add column extra int", r"column no_key\.extra.* was not"),
    ("alter table flat engine = InnoDB", r"table flat"),
    ("alter table pieces reorganize partition p0 into (partition p_old values less than (2000), partition p0 values less than (2025))", r"partition|table pieces"),
    ("alter table `Case` modify id int unsigned not null", r"column Case\.id"),
    ("create table extra_table (i int)", r"table extra_table.* was not"),
]

OBJECTS = [
    ("drop view a_view_on_a_view", r"view a_view_on_a_view.* missing"),
    ("create or replace view first_view as select p.id, p.name, count(c.a) as children from parent p join child c on c.parent_id = p.id group by p.id, p.name", r"view first_view"),
    ("drop function a_function", r"function a_function.* missing"),
    ("drop procedure a_procedure; create procedure a_procedure(in n int, out m int) comment 'it''s' sql security invoker set m = n + 2", r"procedure a_procedure"),
    ("drop trigger after_child", r"trigger after_child.* missing"),
    ("drop trigger second_before_parent; create trigger second_before_parent before insert on parent for each row follows before_parent set new.name = upper(new.name)", r"trigger .*second_before_parent"),
    ("alter event every_night enable", r"event every_night"),
    ("alter event every_night comment 'other'", r"event every_night"),
    ("create event extra_event on schedule every 1 day disable do select 1", r"event extra_event.* was not"),
    ("alter database character set latin1", r"database|character set"),
]

# Definers of objects and defaults of their sessions.
CONTEXT = [
    ("create or replace definer = someone@localhost sql security invoker view a_view_on_a_view as select name, a_function(children) as n from first_view", r"view a_view_on_a_view"),
    ("set sql_mode = 'ANSI_QUOTES'; drop function a_function; create function a_function(n int) returns int deterministic return n + 1", r"function a_function"),
    ("set names latin1; drop trigger after_child; create trigger after_child after delete on child for each row insert into no_key values (old.a, 'gone')", r"trigger .*after_child"),
]

OF_MARIADB = [
    ("select setval(numbers, 5000)", r"sequence .*numbers"),
    ("alter sequence numbers increment by 6", r"sequence .*numbers"),
    ("update of_sequence set hidden = 9", r"\bof_sequence\b"),
    ("alter table of_sequence modify hidden int default 7", r"column of_sequence\.hidden"),
    ("alter table versions drop system versioning", r"\bversions\b"),
    ("set sql_mode = 'ORACLE'; drop package body parcel", r"package.*parcel"),
]

OF_MYSQL = [
    ("alter table parent alter index by_prefix invisible", r"index .*parent.*by_prefix"),
    ("alter table no_key alter column b set invisible", r"column no_key\.b"),
]


def held_verify(drtool, server, alter):
    """Runs verify, and alter(NAME) on the copy when it is loaded; returns exit code and text."""
    process = drtool.start("verify", "shop", fail="verify.loaded:1:delay=4000")
    try:
        copy = fault.wait_until(lambda: next((name for name in server.databases() if name.startswith("drtool_verify")), None) or process.poll() is not None, "a copy is made")
        assert copy is not True, process.communicate()
        # Events come last; after them the sessions of the load are idle.
        fault.wait_until(lambda: server.sql("", f"select count(*) from information_schema.events where event_schema = '{copy}'") == "1", "the copy is loaded")
        fault.wait_until(lambda: all(busy(server) == 0 for _ in range(3)), "nothing is loaded any more")
        alter(copy)
        assert process.poll() is None, "verify went on before the copy was altered"
    finally:
        code, text = fault.end(process, 120)
    return code, text


def busy(server):
    return int(server.sql("", "select count(*) from information_schema.processlist where command = 'Query' and id <> connection_id() and user <> 'event_scheduler'"))


@pytest.fixture
def verified(my_any, make_my_db, drtool):
    """One of everything, backed up, with the server itself as its scratch server."""
    db = make_my_db(my_any, fill=everything)
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\n"
                  f"sources: {{shop: {{url: \"{my_any.url(db)}\", scratch: \"{my_any.url()}\"}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "shop")
    yield my_any
    for name in my_any.databases():
        if name.startswith("drtool_verify"):
            my_any.drop_db(name)


@pytest.mark.parametrize("group", ["data and tables", "objects", "context"])
def test_every_alteration_of_the_copy_is_found(verified, drtool, group):
    server = verified
    mutations = {"data and tables": DATA + TABLES + (OF_MARIADB if server.mariadb else OF_MYSQL), "objects": OBJECTS, "context": CONTEXT}[group]
    script = "set foreign_key_checks = 0;\n" + "".join(f"{statement};\n" for statement, _ in mutations)
    code, text = held_verify(drtool, server, lambda name: server.sql(name, script))
    assert code == 4, text
    lines = text.splitlines()
    unseen = [statement for statement, pattern in mutations if not any(re.search(pattern, line) for line in lines)]
    assert not unseen, "not noticed:\n" + "\n".join(unseen) + "\n--- of:\n" + text
    assert drtool.ok("list", "--json").json[0]["backups"][0]["bad"]
    assert [name for name in server.databases() if name.startswith("drtool_verify")] == []


def test_an_unaltered_copy_is_equal(verified, drtool):
    code, text = held_verify(drtool, verified, lambda name: None)
    assert code == 0, text


@pytest.mark.parametrize("statement, pattern", [
    ("drop table parent", r"\bparent\b"),
    ("alter table pieces change at moved date not null", r"\bpieces\b"),
    ("rename table no_key to another_key", r"\bno_key\b"),
    ("drop database {name}; create database {name}", r"\bchild\b"),
])
def test_a_table_that_cannot_be_read_as_it_was_is_a_difference(my10, make_my_db, drtool, statement, pattern):
    db = make_my_db(my10, fill=everything)
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources: {{shop: {{url: \"{my10.url(db)}\", scratch: \"{my10.url()}\"}}}}\n")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"
    drtool.ok("backup", "shop")
    code, text = held_verify(drtool, my10, lambda name: my10.sql(name, "set foreign_key_checks = 0;" + statement.format(name=name)))
    assert code == 4, text
    assert re.search(pattern, text), text
