"""MariaDB and MySQL: tables and values at the limits of the servers come back as they were, by LOAD DATA and by INSERT: equal digests, equal
CHECKSUM TABLE."""

import pytest

import my

ANY = pytest.mark.parametrize("version", my.VERSIONS)


@pytest.fixture(params=["1", "0"], ids=["load_data", "insert"])
def local_infile(request):
    """Whether the server takes LOAD DATA LOCAL; else rows go in by INSERT."""
    return request.param


@pytest.fixture
def set_global(my_servers):
    """set_global(SERVER, NAME, VALUE): for new sessions, put back after the test."""
    before = []

    def change(server, name, value):
        before.append((server, name, server.sql("", f"select @@global.{name}; set global {name} = {value}")))

    yield change
    for server, name, value in reversed(before):
        server.sql("", f"set global {name} = {value if value.isdigit() else my.literal(value)}")


def round_trip(drtool, server, db, *options):
    """Backs up, restores beside with a comparison of all digests, and compares as the server sees it."""
    before = server.contents(db)
    drtool.ok("backup", server.url(db), "--name", "shop", *options)
    result = drtool.ok("restore", "shop", "--into", server.url(f"{db}_copy"), "--compare")
    assert "compared and equal" in result.out
    assert server.contents(f"{db}_copy") == before
    return result


# --- sizes ---

@ANY
def test_tables_with_as_many_columns_as_an_engine_can_have(my_servers, make_my_db, drtool, version):
    server = my_servers(version)
    wide = ", ".join(f"c{i} tinyint" for i in range(2000))
    inno = ", ".join(f"c{i} tinyint" for i in range(1017))
    engines = ["MyISAM"] + (["Aria"] if server.mariadb else [])
    db = make_my_db(server, f"create table inno ({inno}) engine = InnoDB; insert into inno (c0, c1016) values (1, 2), (null, -128), (127, null);" + "".join(
        f"create table wide_{engine.lower()} ({wide}) engine = {engine};"
        f"insert into wide_{engine.lower()} values ({', '.join(str(i % 128) for i in range(2000))}), ({', '.join(['null'] * 2000)});" for engine in engines))
    round_trip(drtool, server, db)


@ANY
def test_rows_of_30_mb_come_back_by_load_data_and_by_insert(my_servers, make_my_db, set_global, local_infile, drtool, version):
    server = my_servers(version)
    for name, value in (("max_allowed_packet", 128 << 20), ("local_infile", local_infile)):
        set_global(server, name, value)
    # Half of it printable, half of bytes that need an escape each.
    db = make_my_db(server, "create table huge (id int primary key, t longtext, b longblob);"
                            "insert into huge values (1, repeat('0123456789abcde\\n', 1048576), repeat(x'00090a5c1a27', 2400000)), (2, 'small', null), (3, repeat('€', 1000000), '')")
    result = round_trip(drtool, server, db)
    assert ("by INSERT" in result.err) == (local_infile == "0"), result


@ANY
def test_a_row_that_the_server_does_not_take_is_said_with_its_table_and_the_setting(my_servers, make_my_db, set_global, drtool, version):
    server = my_servers(version)
    db = make_my_db(server, "create table big_row (id int primary key, b longblob); insert into big_row values (1, repeat('x', 3000000))")
    drtool.ok("backup", server.url(db), "--name", "shop")
    for name, value in (("max_allowed_packet", 1 << 20), ("local_infile", 0)):
        set_global(server, name, value)
    result = drtool.fails(1, "restore", "shop", "--into", server.url(f"{db}_copy"))
    assert "big_row" in result.err and "max_allowed_packet" in result.err, result
    set_global(server, "max_allowed_packet", 16 << 20)
    drtool.ok("restore", "shop", "--into", server.url(f"{db}_copy"), "--resume", "--compare")


def test_5000_tables_come_back(make_my_server, drtool):
    server = make_my_server("10.11", {"innodb_file_per_table": "off", "innodb_doublewrite": "off", "innodb_flush_method": "nosync", "sync_frm": "off", "log_bin": "off"})
    db = server.create_db("many")
    server.sql(db, "".join(f"create table t{i} (id int primary key, n int) engine = {('MyISAM', 'InnoDB')[i % 10 == 0]}; {f'insert into t{i} values (1, {i});' if i % 10 == 0 else ''}"
                           for i in range(5000)))
    drtool.ok("backup", server.url(db), "--name", "shop")
    drtool.ok("restore", "shop", "--into", server.url(f"{db}_copy"), timeout=300)
    assert len(server.tables(f"{db}_copy")) == 5000
    numbers = " union all ".join(f"select n from t{i}" for i in range(0, 5000, 10))
    assert server.sql(f"{db}_copy", f"select count(*), sum(n) from ({numbers}) x") == f"500|{sum(range(0, 5000, 10))}"


# --- bytes ---

def all_bytes(charset):
    """Every byte as a value of its own, and all together, without those that the character set does not know."""
    single = "".join(f"insert ignore into bytes_{charset} values ({i + 1}, x'{i:02x}', x'{i:02x}', x'{i:02x}{i:02x}');" for i in range(256))
    return f"create table bytes_{charset} (id int primary key, c char(3) character set {charset}, v varchar(600) character set {charset}, " \
           f"t text character set {charset}) ; {single}"


@ANY
def test_every_byte_of_every_narrow_character_set_goes_through_utf8mb4_connections(my_servers, make_my_db, local_infile, set_global, drtool, version):
    server = my_servers(version)
    set_global(server, "local_infile", local_infile)
    db = make_my_db(server, "set names utf8mb4; set sql_mode = '';" + "".join(all_bytes(charset) for charset in ("latin1", "cp1251", "koi8r", "binary"))
                    + "create table `h\u00e4lt latin1` (`spalte \u00df` varchar(20) character set latin1 default '\u00e4\u00f6\u00fc' comment 'gr\u00fc\u00dfe') default character set latin1;"
                      "insert into `h\u00e4lt latin1` values (default), (x'e4f6fc80'), (x'5c4e');"
                      "create table latin1_by_mistake (v varchar(50) character set latin1); insert into latin1_by_mistake values (x'c3a9e282ac');")
    before = server.sql(db, "select hex(v), hex(c), hex(t) from bytes_latin1 order by id; select hex(`spalte \u00df`) from `h\u00e4lt latin1`; select hex(v) from latin1_by_mistake")
    round_trip(drtool, server, db)
    assert server.sql(f"{db}_copy", "select hex(v), hex(c), hex(t) from bytes_latin1 order by id; select hex(`spalte \u00df`) from `h\u00e4lt latin1`; "
                                    "select hex(v) from latin1_by_mistake") == before
    assert server.dump(f"{db}_copy", "--no-data").replace(f"{db}_copy", db) == server.dump(db, "--no-data")


# --- types ---

EXTREMES = """
    set sql_mode = ''; set time_zone = '+00:00'; set names utf8mb4;
    create table numbers (id int primary key, t tinyint, tu tinyint unsigned, s smallint, su smallint unsigned, m mediumint, mu mediumint unsigned, i int, iu int unsigned,
        b bigint, bu bigint unsigned, d decimal(65,30), dz decimal(65,0), f float, g double, b1 bit(1), b64 bit(64), y year, z int(8) zerofill);
    insert into numbers values
        (1, -128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, -9223372036854775808, 18446744073709551615,
         -99999999999999999999999999999999999.999999999999999999999999999999, 99999999999999999999999999999999999999999999999999999999999999999,
         -3.402823466e38, -1.7976931348623157e308, 1, 18446744073709551615, 2155, 7),
        (2, 127, 0, 32767, 0, 8388607, 0, 2147483647, 0, 9223372036854775807, 0, 0.000000000000000000000000000001, -1, 1.175494351e-38, 2.2250738585072014e-308, 0, 0, 1901, 0),
        (3, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 16777217, 0.1e0 + 0.2e0, 1, 9223372036854775808, 0, 99999999),
        (4, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
        (5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1.4e-45, 5e-324, 0, 1, 1970, 1), (6, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -0e0, -0e0, 0, 1, 2000, 1);
    create table times (id int primary key, d date, dt datetime, dt6 datetime(6), t time, t6 time(6), ts timestamp null, ts6 timestamp(6) null);
    insert into times values
        (1, '0000-00-00', '0000-00-00', '0000-00-00', '-838:59:59', '-838:59:58.999999', '0000-00-00', '0000-00-00'),
        (2, '9999-12-31', '9999-12-31 23:59:59', '9999-12-31 23:59:59.999999', '838:59:59', '838:59:58.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999'),
        (3, '2020-02-00', '2020-00-10 01:00:00', '1000-01-01', '-00:00:01', '-00:00:00.000001', '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001'),
        (4, null, null, null, null, null, null, null), (5, '2026-03-29', '2026-03-29 02:30:00', '2026-10-25 02:30:00', '00:00:00', '00:00:00', '2026-03-29 01:30:00', '2026-10-25 00:30:00');
    create table texts (id int primary key, c char(255), v varchar(1000), tt tinytext, lt longtext, b binary(255), vb varbinary(1000), bl longblob,
        e enum('', 'N', '0', 'b,c', '€'), s set('a', 'b', '€'), j json, u16 varchar(50) character set utf16, u32 text character set utf32, sj varchar(20) character set sjis);
    insert into texts values
        (1, '', '', '', '', '', '', '', '', '', '{}', '', '', ''),
        (2, repeat('€', 255), repeat('😀', 1000), repeat('x', 255), repeat('\\\\\\n\\t\\0', 1000), repeat(x'ff', 255), repeat(x'5c', 1000), repeat(x'0d0a', 500), 'b,c', 'a,b,€',
         '{"a": [1.5, 18446744073709551615, -1e308, null, "\\\\u0000\\\\n€"], "": {}}', '😀\\\\N', '😀\\t', x'835c5c'),
        (3, '\\\\N', 'NULL', '\\\\', '\\\\\\\\N', 'N', x'5c4e', x'00', 'N', 'a', '"\\\\\\\\N"', '\\\\N', 'NULL', '\\\\N'),
        (4, null, null, null, null, null, null, null, null, null, null, null, null, null),
        (5, ' x', 'x ', ' ', '\\r\\n', ' ', ' ', '\\r', '0', 'b', 'null', ' ', '\\n', ' ');
    create table shapes (id int primary key, g geometry, p point, l linestring, y polygon, mp multipoint, ml multilinestring, my multipolygon, gc geometrycollection);
    insert into shapes values (1, st_geomfromtext('point(1.7976931348623157e308 -5e-324)'), st_geomfromtext('point(0 -0)'), st_geomfromtext('linestring(0 0,1 1)'),
        st_geomfromtext('polygon((0 0,0 9,9 9,9 0,0 0),(1 1,1 2,2 2,2 1,1 1))'), st_geomfromtext('multipoint(1 1,2 2)'), st_geomfromtext('multilinestring((0 0,1 1),(2 2,3 3))'),
        st_geomfromtext('multipolygon(((0 0,0 1,1 1,0 0)))'), st_geomfromtext('geometrycollection(point(1 1),linestring(0 0,1 1))')), (2, null, null, null, null, null, null, null, null);
"""
OF_MARIADB = """
    create table only_mariadb (id int primary key, u uuid, i4 inet4, i6 inet6, z varchar(500) compressed, zb longblob compressed);
    insert into only_mariadb values (1, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', repeat('z', 500), repeat(x'00', 10000)),
        (2, '00000000-0000-0000-0000-000000000000', '0.0.0.0', '::', '', ''), (3, null, null, null, null, null);
"""
OF_MYSQL = """
    create table only_mysql (id int primary key, v vector(3), p point srid 4326, j json);
    insert into only_mysql values (1, to_vector('[1.5,-2,3e38]'), st_srid(point(1, 2), 4326), '{"a": [1, 2]}'), (2, null, null, null);
"""


@ANY
def test_the_extremes_of_every_type_come_back_by_load_data_and_by_insert(my_servers, make_my_db, local_infile, set_global, drtool, version):
    server = my_servers(version)
    set_global(server, "local_infile", local_infile)
    db = make_my_db(server, EXTREMES + (OF_MARIADB if server.mariadb else OF_MYSQL))
    result = round_trip(drtool, server, db, "--chunk-size", "16KiB")
    assert ("by INSERT" in result.err) == (local_infile == "0"), result
