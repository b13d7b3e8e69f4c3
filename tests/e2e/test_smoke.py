"""The shortest loop: back up, lose, restore, compare."""


def test_a_dropped_database_comes_back_as_it_was(pg_any, make_db, drtool):
    db = make_db(pg_any, "create table t (id int primary key, b text); insert into t select i, 'row ' || i from generate_series(1, 1000) i")
    before, schema = pg_any.contents(db), pg_any.pg_dump(db)

    drtool.ok("backup", pg_any.url(db), "--name", "smoke")
    assert len(drtool.backups("smoke")) == 1
    pg_any.drop_db(db)
    drtool.ok("restore", "smoke", "--into", pg_any.url(db))

    assert pg_any.contents(db) == before
    assert pg_any.pg_dump(db) == schema


def test_a_wrong_password_ends_with_a_clear_error_and_no_backup(pg15, make_db, drtool):
    db = make_db(pg15)
    result = drtool.fails(1, "backup", pg15.tcp_url(db, password="wrong-secret"), "--name", "smoke")
    assert "password authentication failed" in result.err
    assert "wrong-secret" not in result.text
    assert drtool.backups("smoke") == []


def test_a_restore_counts_empty_tables_as_the_backup_does(pg15, make_db, drtool):
    db = make_db(pg15, "create table full_one as select 1 as a; create table empty_one (a int)")
    assert "2 tables, 1 row," in drtool.ok("backup", pg15.url(db), "--name", "smoke").out
    pg15.drop_db(db)
    assert "2 tables, 1 row," in drtool.ok("restore", "smoke", "--into", pg15.url(db)).out
