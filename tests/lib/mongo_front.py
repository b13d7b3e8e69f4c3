#!/usr/bin/python3
"""Stands in front of a server and passes bytes on both ways: with TLS, or on a unix socket. Ends when its input ends.

mongo_front.py --port-file FILE --to PORT [--listen PATH] [--cert PEM --key PEM [--clients CA]]
--clients: who connects must show a certificate of this authority.
"""

import argparse
import os
import socket
import ssl
import sys
import threading


def copy(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
    except OSError:
        pass
    for end in source, sink:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(link, port, context):
    try:
        if context:
            link = context.wrap_socket(link, server_side=True)
    except OSError:
        link.close()
        return
    behind = socket.create_connection(("127.0.0.1", port))
    threading.Thread(target=copy, args=(behind, link), daemon=True).start()
    copy(link, behind)


def accept(listener, port, context):
    while True:
        link = listener.accept()[0]
        threading.Thread(target=serve, args=(link, port, context), daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    for option in "--port-file", "--listen", "--cert", "--key", "--clients":
        parser.add_argument(option)
    parser.add_argument("--to", type=int)
    args = parser.parse_args()
    context = None
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
    if args.clients:
        context.load_verify_locations(args.clients)
        context.verify_mode = ssl.CERT_REQUIRED
    if args.listen:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(args.listen)
        listener.listen()
    else:
        listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, args=(listener, args.to, context), daemon=True).start()
    with open(args.port_file + ".new", "w") as file:
        file.write("0" if args.listen else str(listener.getsockname()[1]))
    os.rename(args.port_file + ".new", args.port_file)
    sys.stdin.read()


main()
