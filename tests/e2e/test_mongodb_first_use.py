"""What somebody meets who tries drtool with MongoDB for the first time: accounts, wrong names, servers that do not answer."""

import pathlib
import signal
import socket
import subprocess

import drtool as drtool_lib
import mo
import pytest


def fill(db):
    db.orders.insert_many({"_id": i, "at": i * 7} for i in range(100))
    db.items.insert_one({"_id": 1})


def configure(drtool, **sources):
    text = "".join(f"  {name}: {{{source}}}\n" for name, source in sources.items())
    drtool.config(f"stores: {{local: {{url: \"{drtool.store_url}\"}}}}\nsources:\n{text}")
    drtool.env["DRTOOL_CONFIG"] = drtool.dir / "drtool.yaml"


@pytest.fixture(scope="module")
def locked(mo_folders):
    """A server that asks for a login; root has the password mongo."""
    try:
        server = mo.Server(auth=True).start()
    except mo.Missing as reason:
        pytest.skip(str(reason))
    fill(server.db("shop"))
    yield server
    server.remove()


def at(server, user="", path="shop", query=""):
    return f"mongodb://{user}127.0.0.1:{server.port}/{path}{query}"


def test_wrong_logins_are_told_apart_by_what_is_to_be_done(locked, drtool):
    result = drtool.fails(1, "backup", at(locked, "root@"), "--name", "shop")
    assert "no password for the user root" in result.err and "MONGODB_PASSWORD" in result.err, result
    result = drtool.run("backup", at(locked, "root@"), "--name", "shop", env={"MONGODB_PASSWORD": "wrong-secret"})
    assert result.code == 1 and "wrong-secret" not in result.text, result
    assert "in the database shop" in result.err and "the URL needs authSource=admin" in result.err, result
    result = drtool.run("backup", at(locked, "root@", query="?authSource=admin"), "--name", "shop", env={"MONGODB_PASSWORD": "wrong-secret"})
    assert result.code == 1 and "in the database admin" in result.err and "Check user and password" in result.err, result
    result = drtool.fails(1, "backup", at(locked), "--name", "shop")
    assert "Nobody is logged in" in result.err and "drtool config grants" in result.err, result


def test_a_password_may_come_from_the_environment_of_the_containers(locked, drtool):
    url = at(locked, query="?authSource=admin")
    drtool.ok("backup", url, "--name", "shop", env={"MONGO_INITDB_ROOT_USERNAME": "root", "MONGO_INITDB_ROOT_PASSWORD": "mongo"})
    drtool.ok("backup", "--name", "shop", env={"MONGODB_URI": at(locked, "root:mongo@", query="?authSource=admin")})


def test_a_target_on_the_server_of_the_source_looks_the_account_up_where_the_source_does(locked, drtool):
    configure(drtool, shop=f"url: \"{at(locked, query='?authSource=admin')}\", user: root, password: mongo")
    drtool.ok("backup", "shop")
    drtool.ok("restore", "shop", "--into", at(locked, path="looked_up"), "--compare")
    result = drtool.fails(1, "restore", "shop", "--into", at(locked, "other@", path="looked_up_2"))
    assert "no password for the user other" in result.err, result
    locked.drop_db("looked_up")


def test_addresses_that_do_not_answer_are_told_apart(locked, drtool):
    result = drtool.fails(1, "backup", "mongodb://127.0.0.1:1/shop", "--name", "shop")
    assert "127.0.0.1:1: Connection refused" in result.err and "Check host and port" in result.err, result
    result = drtool.fails(1, "backup", "mongodb://no-such-host.invalid/shop", "--name", "shop")
    assert "Check the name of the host" in result.err, result
    result = drtool.fails(1, "backup", "mongodb://127.0.0.1:1,127.0.0.1:2/shop?replicaSet=rs0", "--name", "shop")
    assert "none of the servers 127.0.0.1:1, 127.0.0.1:2 can be used" in result.err and "serverSelection" not in result.err, result
    result = drtool.fails(2, "backup", "mongodb+srv://short.invalid/shop", "--name", "shop")
    assert "at least three parts" in result.err, result
    result = drtool.run("backup", at(locked, "root@", query="?authSource=admin&tls=true"), "--name", "shop", env={"MONGODB_PASSWORD": "mongo"})
    assert result.code == 1 and "does not offer TLS" in result.err and 'set tls to "prefer"' in result.err, result


def test_names_that_are_not_there_are_answered_with_those_that_are(locked, drtool):
    url = at(locked, "root:mongo@", query="?authSource=admin")
    result = drtool.fails(1, "backup", at(locked, "root:mongo@", "shop_typo", "?authSource=admin"), "--name", "shop")
    assert "no database shop_typo" in result.err and "The account sees shop." in result.err, result
    drtool.ok("backup", url, "--name", "shop")
    result = drtool.fails(5, "restore", "shop", "--into", url, "--table", "order")
    assert "order" in result.err and "items" in result.err and "orders" in result.err, result
    result = drtool.fails(2, "restore", "shop")
    assert "--into" in result.err and "mongodb://" in result.err, result


def test_check_connect_says_what_a_source_has_and_what_is_in_its_way(locked, drtool):
    login = "user: root, password: mongo"
    configure(drtool, right=f'url: "{at(locked, query="?authSource=admin")}", cluster: shop, {login}')
    result = drtool.ok("config", "check", "--connect")
    assert "login works: mongodb" in result.out and "database shop" in result.out and "cluster: NAME" not in result.out, result
    configure(drtool, nobody=f'url: "{at(locked)}"', typo=f'url: "{at(locked, path="typo", query="?authSource=admin")}", {login}')
    result = drtool.run("config", "check", "--connect")
    assert result.code == 3 and "NOT POSSIBLE: the server asks for a login, and nobody is logged in" in result.out, result
    assert "grantRolesToUser" not in result.out, result
    assert "NOT POSSIBLE: there is no database typo" in result.out, result


def test_the_identity_of_a_server_that_has_none_is_told_unless_the_source_has_a_name_for_it(locked, drtool):
    url = f'url: "{at(locked, query="?authSource=admin")}", user: root, password: mongo'
    configure(drtool, one=url, two=f"{url}, cluster: shop")
    if locked.kind == "ferretdb":
        assert "`cluster: NAME`" in drtool.ok("backup", "one").err
    assert "`cluster: NAME`" not in drtool.ok("backup", "two").err
    assert drtool.manifest("two")["identity"] == "cluster:shop"


def test_a_restore_of_many_tiny_documents_keeps_to_what_the_server_takes_at_once(mo_server, make_mo_db, drtool):
    def tiny(db):
        for i in range(0, 60000, 10000):
            db.t.insert_many({"_id": j} for j in range(i, i + 10000))

    name = make_mo_db(mo_server, tiny)
    before = mo_server.contents(name)
    drtool.ok("backup", mo_server.url(name), "--name", "tiny")
    mo_server.drop_db(name)
    drtool.ok("restore", "tiny", "--into", mo_server.url())
    assert mo_server.contents(name) == before


def test_a_drtool_that_is_killed_leaves_no_shared_memory_behind(drtool):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mongodb://127.0.0.1:{silent.getsockname()[1]}/shop?tls=false"
        child = subprocess.Popen([drtool_lib.binary(), "backup", url, "--name", "shop", "--to", drtool.store_url], env=drtool.environment(),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        silent.settimeout(60)
        link, _ = silent.accept()
        child.send_signal(signal.SIGKILL)
        child.wait(60)
        link.close()
    assert not pathlib.Path(f"/dev/shm/mongoc-{child.pid}").exists()
