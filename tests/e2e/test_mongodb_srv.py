"""MongoDB: a server that is found by DNS, as Atlas is, with the options that DNS gives. The server is the scripted one."""

import subprocess

import drtool as drtool_lib
import name_server
import pytest

CLUSTER = "cluster0.drtool.test"


@pytest.fixture
def names(drtool):
    try:
        made = name_server.Names(drtool.dir, {})
    except name_server.Missing as reason:
        pytest.skip(str(reason))
    yield made
    made.close()


def publish(names, server, options):
    names.names.update({
        f"_mongodb._tcp.{CLUSTER}": [name_server.service("member1.drtool.test", server.port)],
        CLUSTER: [name_server.text(options)],
        "member1.drtool.test": [name_server.address("127.0.0.1")],
    })


def backup(drtool, names, url, **env):
    command = names.command(drtool_lib.binary(), "backup", url, "--name", "shop")
    return subprocess.run(command, env=drtool.environment(env), cwd=drtool.dir, capture_output=True, text=True, timeout=180)


def test_all_sessions_log_in_where_dns_says_that_the_account_is(mo_script, drtool, names):
    server = mo_script(set_name="rs0", accounts={"admin.backup": "secret"})
    server.set(hosts=[f"member1.drtool.test:{server.port}"], primary=f"member1.drtool.test:{server.port}")
    server.store.load("shop", "orders", [{"_id": i} for i in range(100)])
    publish(names, server, "authSource=admin&replicaSet=rs0")
    url = f"mongodb+srv://backup@{CLUSTER}/shop?tls=false&authMechanism=SCRAM-SHA-256"
    done = backup(drtool, names, url, MONGODB_PASSWORD="secret")
    assert done.returncode == 0, done.stderr
    assert {command.db for command in server.sent("saslStart")} == {"admin"}
    assert len(server.sent("saslStart")) > 1
    done = backup(drtool, names, url, MONGODB_PASSWORD="wrong")
    assert done.returncode == 1 and "in the database admin. Check user and password" in done.stderr, done.stderr
