#!/usr/bin/env python3
"""Stands in for adb and for the phone behind it, so that the tests need neither.

The phone is a folder (FAKE_PHONE): its state in state.json, its files under files/, its programs under bin/. What `adb
shell` is told is run by a real shell, whose PATH holds this program under the names of Android's, and which sees the
phone's files where it asks for them; so quoting and scripts are tested for what they do. `adb.py make KIND FOLDER` makes
a phone and an adb for it, `adb.py reboot FOLDER` starts it anew.
"""

import fcntl
import json
import os
import re
import sys

# Others are imported where they are used: this program is started a hundred times in a test.

SYSTEM = "/system/etc/security/cacerts"
APEX = "/apex/com.android.conscrypt/cacerts"
# Programs of the computer that serve as the phone's.
BORROWED = "cat chmod cp grep head ls mkdir rm rmdir sleep tail true".split()
# Programs of the phone that this file plays.
PLAYED = "cmd content dumpsys getenforce getprop mount pidof pm ps service settings umount".split()
# Those that are played well enough by a line of the shell.
SHELL = {
    "chcon": '[ "$FAKE_UID" = 0 ]',
    "chown": '[ "$FAKE_UID" = 0 ]',
    "id": 'echo "$FAKE_UID"',
    "ip": "exit 1",
    "tcpdump": "exit 1",
}
# What comes before the name of a program that is to be played.
PLAY = "--play"
ADB = "--adb"
PROXY_COPIES = ["global_http_proxy_host", "global_http_proxy_port", "global_http_proxy_exclusion_list"]


# --- the phone's folder

def base():
    return os.environ["FAKE_PHONE"]


def real(path):
    """Where a file of the phone lies."""
    return os.path.join(base(), "files") + path


class State:
    """The state, locked while it is looked at, and written back."""

    def __enter__(self):
        self.lock = open(os.path.join(base(), "lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        with open(os.path.join(base(), "state.json")) as file:
            self.state = json.load(file)
        return self.state

    def __exit__(self, *_):
        path = os.path.join(base(), "state.json")
        with open(path + ".new", "w") as file:
            json.dump(self.state, file, indent=1, sort_keys=True)
        os.replace(path + ".new", path)
        self.lock.close()


def write(path, text):
    os.makedirs(os.path.dirname(real(path)), exist_ok=True)
    with open(real(path), "w") as file:
        file.write(text)


def fail(message, status=1):
    print(message, file=sys.stderr)
    return status


# --- making phones

TCP = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def make(kind, folder):
    import py_compile
    import shutil
    os.environ["FAKE_PHONE"] = folder
    sdk = {"android8": 26, "android11": 30, "android14": 34, "emulator15": 35}[kind]
    release = {26: "8.0.0", 30: "11", 34: "14", 35: "15"}[sdk]
    tools = ["iptables", "ip6tables"]
    if sdk >= 30:
        tools += ["nsenter"]
    if sdk >= 31:
        tools += ["abx2xml"]
    emulator = kind.startswith("emulator")
    os.makedirs(os.path.join(folder, "bin"))
    for tool in BORROWED:
        os.symlink(shutil.which(tool), os.path.join(folder, "bin", tool))
    compiled = py_compile.compile(__file__, os.path.join(folder, "adb.pyc"), doraise=True)
    this = f'"{sys.executable}" -I -S "{compiled}"'
    programs = {os.path.join("bin", tool): f'exec {this} {PLAY} {tool} "$@"' for tool in PLAYED + tools + ["su"]}
    programs.update({os.path.join("bin", tool): line for tool, line in SHELL.items()})
    # A program of its own for each phone, so that no test has to change the environment of others.
    programs["adb"] = f'FAKE_PHONE="{folder}" exec {this} {ADB} "$@"'
    for name, line in programs.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(f"#!/bin/sh\n{line}\n")
        os.chmod(os.path.join(folder, name), 0o755)
    zygotes = {"zygote64": 700, "zygote": 701} if sdk < 34 else {"zygote64": 700}
    state = {
        "devices": [["emulator-5554" if emulator else "R58M123ABC", "device"]],
        "su": "aosp" if emulator else "magisk",
        "sdk": sdk,
        "old_shell": sdk < 28,
        "iptables": {program: tables(program, sdk) for program in ("iptables", "ip6tables")},
        "mounts": {},
        "zygotes": zygotes,
        "children": {"700": [1200, 1201], "701": [1300]},
        "reverse": {},
        "settings": {
            "global": {"device_name": "绿途's \"phone\""},
            "secure": {"android_id": "1c2d3e4f5a6b7c8d", "bluetooth_address": "4A:3D:91:0C:E7:27"},
        },
        "effective_proxy": None,
        "selinux": "Enforcing",
        "users": {"0": {"com.example.lvtu": 10101, "com.example.other": 10102, "com.example.too": 10102}},
        "properties": {
            "ro.build.version.release": release,
            "ro.build.version.sdk": str(sdk),
            "ro.product.model": "sdk_gphone64_x86_64" if emulator else "LVX-AL10",
            "ro.product.brand": "google" if emulator else "LVX",
            "ro.product.cpu.abi": "x86_64" if emulator else "arm64-v8a",
            "ro.serialno": "EMULATOR15X" if emulator else "R58M123ABC",
            "ro.hardware": "ranchu" if emulator else "qcom",
            "ro.ril.miui.imei0": "" if emulator else "867530040172932",
        },
        "subscriber": subscriber(sdk),
        "content": {
            "content://telephony/siminfo": [
                {"_id": "1", "sim_id": "0", "icc_id": "89860081011512345678", "number": "", "imsi": "460001234567890"},
                {"_id": "2", "sim_id": "-1", "icc_id": "89860081011512349999", "number": "13900009999", "imsi": "NULL"},
            ]
        },
        "wifi": 'SSID: "lvtu, office", BSSID: 4a:3d:91:a0:11:7c, MAC: 4a:3d:91:0c:e7:26, IP: /10.0.0.7, Net ID: 0',
    }
    if sdk < 29:
        for row in state["content"]["content://telephony/siminfo"]:
            del row["imsi"]
    for number in range(3):
        write(f"{SYSTEM}/{number:08x}.0", f"certificate {number}\n")
        if sdk >= 34:
            write(f"{APEX}/{number:08x}.0", f"certificate {number} of the APEX\n")
    os.makedirs(real("/data/local/tmp"))
    ssaid = (
        '<settings version="-1"><setting id="0" name="userkey" value="AB" package="android" />'
        '<setting id="1" name="10101" value="b7c1e5420d9fa683" package="com.example.lvtu" /></settings>\n'
    )
    write("/data/system/users/0/settings_ssaid.xml", ("ABX\0" if sdk >= 31 else "") + ssaid)
    write(
        "/data/data/com.google.android.gms/shared_prefs/adid_settings.xml",
        "<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n<map>\n"
        '    <string name="adid_key">70101066-0cf5-453b-9c43-ac14b3562a48</string>\n</map>\n',
    )
    write("/sys/class/net/wlan0/address", "02:00:00:00:00:00\n" if sdk < 30 else "4a:3d:91:0c:e7:26\n")
    write("/proc/sys/kernel/random/boot_id", "11111111-0000-4000-8000-000000000001\n")
    write("/proc/net/tcp", TCP + "   0: 0700000A:C350 0200000A:1F90 01 00000000:00000000 00:00000000 00000000 10101        0 9001 1\n")
    write("/proc/net/tcp6", TCP + "   0: 0000000000000000FFFF00000700000A:C352 0000000000000000FFFF00000200000A:1F90 01 00000000:00000000 00:00000000 00000000 10102        0 9002 1\n")
    with open(os.path.join(folder, "state.json"), "w") as file:
        json.dump(state, file)
    show_mounts(state)


def tables(program, sdk):
    filter_table = {"OUTPUT": ["-j bw_OUTPUT"], "bw_OUTPUT": ["-m quota2 ! --quota x -j REJECT"]}
    if program == "ip6tables" and sdk < 30:
        return {"filter": filter_table}
    return {"filter": filter_table, "nat": {"OUTPUT": ["-j oem_nat_out"], "oem_nat_out": []}}


def subscriber(sdk):
    """Answers of the service for subscribers, by the number of the method and its argument."""
    if sdk >= 30:
        return {"4:0": "867530040172932", "4:1": "867530040173096", "16:1": "+8613900001234", "10:1": "460001234567890"}
    return {"3:0": "867530040172932", "3:1": None, "13:1": "+8613900001234", "14:1": "China Mobile", "8:1": "460001234567890"}


def reboot(folder):
    os.environ["FAKE_PHONE"] = folder
    with State() as state:
        for mount in reversed(state["mounts"].pop("init", [])):
            uncover(mount[1])
        state["mounts"] = {}
        state["reverse"] = {}
        for program in ("iptables", "ip6tables"):
            state["iptables"][program] = tables(program, state["sdk"])
        values = state["settings"]["global"]
        kept = values.get("global_http_proxy_host")
        state["effective_proxy"] = values.get("http_proxy") or (kept and f"{kept}:{values['global_http_proxy_port']}")
        write("/proc/sys/kernel/random/boot_id", "22222222-0000-4000-8000-000000000002\n")
        show_mounts(state)


# --- adb itself

def adb(args):
    serial = os.environ.get("ANDROID_SERIAL")
    if args[:1] == ["-s"]:
        serial, args = args[1], args[2:]
    with open(os.path.join(base(), "calls.log"), "a") as log:
        log.write(json.dumps(args) + "\n")
    if args[0] == "version":
        print("Android Debug Bridge version 1.0.41\nVersion 35.0.2-12147458")
        return 0
    with State() as state:
        if args[0] != "devices" and "vanish_after" in state:
            state["vanish_after"] -= 1
            if state["vanish_after"] < 0:
                state["devices"] = []
        devices = {name: how for name, how in state["devices"]}
    if args[0] == "devices":
        print("* daemon not running; starting now at tcp:5037\n* daemon started successfully", file=sys.stderr)
        print("List of devices attached")
        for name, how in devices.items():
            print(f"{name}\t{how}")
        print()
        return 0
    if serial is None and len(devices) != 1:
        return fail("adb: no devices/emulators found" if not devices else "adb: more than one device/emulator")
    how = devices.get(serial) if serial else list(devices.values())[0]
    if how is None:
        return fail(f"adb: device '{serial}' not found")
    if how == "unauthorized":
        return fail("adb: device unauthorized.\nThis adb server's $ADB_VENDOR_KEYS is not set\nTry 'adb kill-server'")
    if how != "device":
        return fail(f"adb: device {how}")
    if args[0] == "shell":
        return adb_shell(" ".join(args[1:]))
    if args[0] == "push":
        with open(args[1]) as file:
            write(args[2], file.read())
        print(f"{args[1]}: 1 file pushed, 0 skipped. 1.0 MB/s")
        return 0
    if args[0] == "reverse":
        return adb_reverse(args[1:])
    return fail(f"adb: unknown command {args[0]}")


def adb_reverse(args):
    with State() as state:
        if args[0] == "--list":
            for port, to in state["reverse"].items():
                print(f"host-19 {port} {to}")
        elif args[0] == "--remove":
            if state["reverse"].pop(args[1], None) is None:
                return fail(f"adb: error: listener '{args[1]}' not found")
        else:
            state["reverse"][args[0]] = args[1]
            print(args[0].split(":")[1])
    return 0


def adb_shell(script):
    import subprocess
    # The phone's files lie elsewhere here.
    script = re.sub(r"(?<![\w./-])/(system|apex|data|proc|sys)(?=[/\s\"';)]|$)", lambda m: real("/" + m[1]), script)
    with State() as state:
        old, uid = state["old_shell"], state.get("adbd_uid", 2000)
    environment = {"PATH": os.path.join(base(), "bin"), "FAKE_PHONE": base(), "FAKE_UID": str(uid), "FAKE_NS": "init"}
    ran = subprocess.run(
        ["/bin/sh", "-c", script], env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT if old else subprocess.PIPE,
    )
    out, err = ran.stdout, ran.stderr or b""
    if old:
        # A terminal's line ends, errors mixed in, and no exit status.
        out = out.replace(b"\n", b"\r\n")
    sys.stdout.buffer.write(out)
    sys.stderr.buffer.write(err)
    return 0 if old else ran.returncode


# --- programs of the phone

def is_root():
    return os.environ.get("FAKE_UID") == "0"


def su(args):
    with State() as state:
        kind = state["su"]
    root = dict(os.environ, FAKE_UID="0")
    if kind == "none":
        return fail("sh: su: inaccessible or not found", 127)
    if kind == "denied":
        return fail("Permission denied", 13)
    if kind == "prompt":
        if args[:1] == ["-c"]:
            os.execlp("sleep", "sleep", "5")
        return fail("su: no such user")
    if kind == "magisk":
        # Words after the user's name are a script's file to it.
        if args[:1] == ["-c"] and len(args) == 2:
            os.execve("/bin/sh", ["sh", "-c", args[1]], root)
        return fail(f"/system/bin/sh: {args[1] if len(args) > 1 else ''}: No such file or directory", 127)
    # That of debug builds.
    names = ["root"] if kind == "root_only" else ["0", "root"]
    if args and args[0] in names:
        os.execve("/bin/sh" if args[1] == "sh" else os.path.join(base(), "bin", args[1]), args[1:], root)
    return fail(f"su: invalid uid/gid '{args[0] if args else ''}'")


def getenforce(_):
    with State() as state:
        print(state["selinux"])
    return 0


def getprop(_):
    with State() as state:
        for name, value in sorted(state["properties"].items()):
            print(f"[{name}]: [{value}]")
    return 0


def settings(args):
    verb, table, name = args[0], args[1], args[2]
    with State() as state:
        values = state["settings"].setdefault(table, {})
        if verb != "get" and state.get("settings_need_root") and not is_root():
            return fail("Security exception: Permission denial: writing to settings requires WRITE_SECURE_SETTINGS", 255)
        if verb == "get":
            print(values.get(name, "null"))
        elif verb == "delete":
            print(f"Deleted {1 if values.pop(name, None) is not None else 0} rows")
        elif verb == "put":
            values[name] = args[3]
            if name == "http_proxy":
                # As Android takes it up; a deletion it does not.
                host, _, port = args[3].partition(":")
                for copy, value in zip(PROXY_COPIES, [host, port if host else "0", ""]):
                    values[copy] = value
                state["effective_proxy"] = args[3] if host else None
    return 0


def pm(args):
    with State() as state:
        if args == ["list", "users"]:
            print("Users:")
            for user in state["users"]:
                print(f"\tUserInfo{{{user}:{'Owner' if user == '0' else 'Work profile'}:1030}} running")
            return 0
        if args[:3] == ["list", "packages", "-U"] and args[3] == "--user":
            for package, uid in state["users"].get(args[4], {}).items():
                print(f"package:{package} uid:{uid}")
            return 0
    return fail(f"Error: unknown command {args}")


def service(args):
    # call iphonesubinfo CODE i32 OF s16 PACKAGE
    with State() as state:
        answers = state["subscriber"]
        if not answers:
            print("service: Service iphonesubinfo does not exist")
            return 0
        key = f"{args[2]}:{args[4]}"
        if key not in answers:
            text, code = "Requires READ_PHONE_STATE", 0xFFFFFFFF
        else:
            text, code = answers[key], 0
    words = [code]
    if text is None:
        words.append(0xFFFFFFFF)
    else:
        data = text.encode("utf-16-le") + b"\0\0"
        data += b"\0" * (-len(data) % 4)
        words.append(len(text))
        words += [int.from_bytes(data[at:at + 4], "little") for at in range(0, len(data), 4)]
    shown = lambda some: "".join(chr(b) if 32 <= b < 127 else "." for word in some for b in word.to_bytes(4, "little"))
    if len(words) <= 4:
        print(f"Result: Parcel({' '.join(f'{word:08x}' for word in words)} '{shown(words)}')")
        return 0
    print("Result: Parcel(")
    for at in range(0, len(words), 4):
        row = words[at:at + 4]
        end = ")" if at + 4 >= len(words) else ""
        print(f"  0x{at * 4:08x}: {' '.join(f'{word:08x}' for word in row):<35} '{shown(row)}'{end}")
    return 0


def content(args):
    uri = args[args.index("--uri") + 1]
    with State() as state:
        rows = state["content"].get(uri)
    if rows is None:
        return fail(f"[ERROR] Could not find provider: {uri}")
    if not is_root():
        return fail("Error while accessing provider: java.lang.SecurityException")
    columns = args[args.index("--projection") + 1].split(":") if "--projection" in args else list(rows[0])
    for column in columns:
        if column not in rows[0]:
            return fail(f"android.database.sqlite.SQLiteException: no such column: {column}")
    for number, row in enumerate(rows):
        print(f"Row: {number} " + ", ".join(f"{column}={row[column]}" for column in columns))
    return 0


def dumpsys(args):
    with State() as state:
        if args == ["wifi"] and state["wifi"]:
            print("Wi-Fi is enabled\nmWifiInfo " + state["wifi"])
    return 0


def cmd(args):
    with State() as state:
        if args == ["wifi", "status"] and state["wifi"] and state["sdk"] >= 30:
            print("WifiInfo: " + state["wifi"])
            return 0
    return fail("cmd: Can't find service")


def abx2xml(args):
    with open(args[0]) as file:
        print(file.read()[4:], end="")
    return 0


def pidof(args):
    with State() as state:
        pid = state["zygotes"].get(args[0])
    if pid:
        print(pid)
    return 0 if pid else 1


def ps(args):
    with State() as state:
        print("  PID")
        for pid in state["children"].get(args[args.index("-P") + 1], []):
            print(f"{pid:5}")
    return 0


def only_root(name, act):
    def guarded(args):
        return act(args) if is_root() else fail(f"{name}: Operation not permitted")
    return guarded


# --- mounts

def show_mounts(state):
    """Writes what each namespace sees: under /apex mounts are private, elsewhere they come from init's."""
    init = state["mounts"].get("init", [])
    line = "".join("%s %s %s rw 0 0\n" % tuple(mount) for mount in init)
    write("/proc/mounts", "/dev/root / ext4 ro 0 0\n" + line)
    if not state.get("isolated_su"):
        write("/proc/1/mounts", "/dev/root / ext4 ro 0 0\n" + line)
    for zygote in state["zygotes"].values():
        for pid in [zygote] + state["children"].get(str(zygote), []):
            shared = [] if state.get("isolated_su") else [m for m in init if not m[1].startswith(real("/apex"))]
            own = shared + state["mounts"].get(str(pid), [])
            write(f"/proc/{pid}/mounts", "/dev/root / ext4 ro 0 0\n" + "".join("%s %s %s rw 0 0\n" % tuple(m) for m in own))


def cover(target, source):
    """Hides a folder's files under those of another, or under none."""
    import shutil
    number = 0
    while os.path.exists(f"{target}.under{number}"):
        number += 1
    os.rename(target, f"{target}.under{number}")
    if source is None:
        os.mkdir(target)
    else:
        shutil.copytree(source, target)


def uncover(target):
    import shutil
    number = -1
    while os.path.exists(f"{target}.under{number + 1}"):
        number += 1
    shutil.rmtree(target)
    os.rename(f"{target}.under{number}", target)


def mount(args):
    namespace = os.environ["FAKE_NS"]
    with State() as state:
        here = state["mounts"].setdefault(namespace, [])
        if args[0] == "-t":
            made = [args[2], args[3], args[1]]
            source = None
        elif args[:2] == ["-o", "bind"]:
            seen = here + state["mounts"].get("init", [])
            of = [m for m in seen if m[1] == args[2]]
            made = [of[-1][0], args[3], of[-1][2]] if of else ["/dev/root", args[3], "ext4"]
            source = args[2]
        else:
            return fail(f"mount: bad arguments {args}")
        if not os.path.isdir(made[1]):
            return fail(f"mount: '{made[0]}'->'{made[1]}': No such file or directory")
        if state.get("mount_fails") and made[1].endswith(state["mount_fails"]):
            return fail(f"mount: '{made[0]}'->'{made[1]}': Permission denied")
        here.append(made)
        if namespace == "init":
            cover(made[1], source)
        show_mounts(state)
    return 0


def umount(args):
    namespace = os.environ["FAKE_NS"]
    target = args[-1]
    with State() as state:
        here = state["mounts"].get(namespace, [])
        at = [number for number, mounted in enumerate(here) if mounted[1] == target]
        if not at:
            return fail(f"umount: {target}: Invalid argument")
        if state.get("busy") == target.replace(real(""), "") and "-l" not in args:
            return fail(f"umount: {target}: Device or resource busy")
        del here[at[-1]]
        if not here:
            del state["mounts"][namespace]
        if namespace == "init":
            uncover(target)
        show_mounts(state)
    return 0


def nsenter(args):
    pid = re.search(r"proc/(\d+)/ns/mnt", args[0])[1]
    with State() as state:
        known = {str(z) for z in state["zygotes"].values()} | {str(c) for of in state["children"].values() for c in of}
    if pid not in known or args[1] != "--":
        return fail(f"nsenter: {args[0]}: No such file or directory")
    os.execve(os.path.join(base(), "bin", args[2]), args[2:], dict(os.environ, FAKE_NS=pid))
    return 1


# --- iptables

def iptables(program):
    def act(args):
        with State() as state:
            if args[0] == "-w":
                if state["sdk"] < 28:
                    return fail(f"{program} v1.4.20: unknown option \"-w\"", 2)
                args = args[1:]
            table = "filter"
            if args[0] == "-t":
                table, args = args[1], args[2:]
            chains = state["iptables"][program].get(table)
            if chains is None:
                return fail(f"{program} v1.8.7: can't initialize {program} table `{table}': Table does not exist", 3)
            if args[0] in ("-N", "-A", "-I", "-D", "-F", "-X") and "iptables_fails_at" in state:
                state["iptables_fails_at"] -= 1
                if state["iptables_fails_at"] == 0:
                    return fail(f"{program}: Operation not supported on transport endpoint.", 4)
            return change(program, chains, args)
    return act


def change(program, chains, args):
    verb = args[0]
    name = args[1] if len(args) > 1 else None
    rule = normal(args[2:])
    if verb == "-S":
        for chain in chains:
            if name in (None, chain):
                print(f"-P {chain} ACCEPT" if chain == "OUTPUT" else f"-N {chain}")
        for chain, rules in chains.items():
            if name in (None, chain):
                for one in rules:
                    print(f"-A {chain} {one}")
        return 0
    if verb == "-N":
        if name in chains:
            return fail(f"{program}: Chain already exists.")
        chains[name] = []
        return 0
    if name not in chains:
        return fail(f"{program}: No chain/target/match by that name.")
    if verb == "-A":
        chains[name].append(rule)
    elif verb == "-I":
        chains[name].insert(0, rule)
    elif verb in ("-C", "-D"):
        if rule not in chains[name]:
            return fail(f"{program}: Bad rule (does a matching rule exist in that chain?).")
        if verb == "-D":
            chains[name].remove(rule)
    elif verb == "-F":
        chains[name] = []
    elif verb == "-X":
        if chains[name] or any(f"-j {name}" in one for rules in chains.values() for one in rules):
            return fail(f"{program}: Too many links." if not chains[name] else f"{program}: Directory not empty.")
        del chains[name]
    else:
        return fail(f"{program}: unknown {verb}", 2)
    return 0


def normal(words):
    """A rule as iptables shows it, which is not as it was written."""
    text = " ".join(words)
    text = text.replace("-p udp --dport", "-p udp -m udp --dport")
    if text.endswith("-j REJECT"):
        text += " --reject-with icmp-port-unreachable"
    return text


PROGRAMS = {
    "abx2xml": abx2xml,
    "cmd": cmd,
    "content": content,
    "dumpsys": dumpsys,
    "getenforce": getenforce,
    "getprop": getprop,
    "ip6tables": only_root("ip6tables", iptables("ip6tables")),
    "iptables": only_root("iptables", iptables("iptables")),
    "mount": only_root("mount", mount),
    "nsenter": only_root("nsenter", nsenter),
    "pidof": pidof,
    "pm": pm,
    "ps": ps,
    "service": service,
    "settings": settings,
    "su": su,
    "umount": only_root("umount", umount),
}


def main():
    args = sys.argv[1:]
    if args[0] == PLAY:
        return PROGRAMS[args[1]](args[2:])
    if args[0] == ADB:
        return adb(args[1:])
    if args[0] == "make":
        return make(args[1], args[2])
    if args[0] == "reboot":
        return reboot(args[1])
    return fail(f"{args[0]}?")


sys.exit(main())
