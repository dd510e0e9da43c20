"""Rules against what is looked for on every server, and against those who look for it."""

from __future__ import annotations

from enfilade.rules.rule import Rule, literally
from enfilade.rules.shipped.making import ARGUMENTS, LINES, make

PROBES: tuple[Rule, ...] = (
    # -- paths and files
    make(
        "traversal-dots",
        "Steps up out of a directory, also where they are encoded twice.",
        ("path", *ARGUMENTS),
        [
            r"(?:^|[/\\=:])\.\.[; ]?[/\\][^ ]",
            r"[/\\]\.\.$",
        ],
    ),
    make(
        "traversal-overlong",
        "Dots and slashes in encodings that no honest client uses: UTF-8 that is too long, and signs that look alike.",
        ("path", *ARGUMENTS),
        [
            r"\\xc0\\x(?:ae|af|2e|2f|5c)",
            r"\\xc1\\x(?:9c|1c)",
            r"\\xe0\\x80\\xa[ef]",
            r"[./\\]\x{2215}",
            r"\x{2215}\.\.",
            r"\x{ff0e}\x{ff0e}",
            r"\.\.\x{ff0f}",
        ],
        LINES,
    ),
    make(
        "files-system",
        "Files of an operating system that no page is about.",
        ("path", *ARGUMENTS),
        [
            r"/etc/(?:passwd|shadow|gshadow|sudoers|hosts|issue|ssh/)",
            r"/proc/(?:self|\d+|version|cmdline)(?:/|$)",
            r"/var/log/(?:apache|nginx|auth|httpd|messages|syslog)",
            r"[a-z]:[/\\]+(?:windows|winnt|boot\.ini)",
            r"[/\\](?:boot|win)\.ini\b",
        ],
    ),
    make(
        "files-versions",
        "Directories of version control.",
        ("path",),
        [
            r"/\.(?:git|svn|hg|bzr|cvs)(?:/|$)",
            r"/\.git(?:ignore|config|attributes|modules)$",
        ],
        LINES,
    ),
    make(
        "files-secrets",
        "Files in which people keep passwords and keys.",
        ("path",),
        [
            r"/\.(?:env(?:[._-][\w.-]*)?|aws|ssh|docker|dockercfg|kube|npmrc|pypirc|netrc|pgpass|my\.cnf|htpasswd"
            r"|htaccess|git-credentials|bash_history|zsh_history|mysql_history|bashrc|profile|ds_store)(?:/|$)",
            r"/(?:id_(?:rsa|dsa|ecdsa|ed25519)|credentials\.json|secrets?\.(?:ya?ml|json|toml)"
            r"|(?:local_)?settings\.py|web\.config|docker-compose\.ya?ml)$",
        ],
        LINES,
    ),
    make(
        "files-backups",
        "What editors and people leave beside a file, and dumps of databases.",
        ("path",),
        [
            r"\.(?:bak|backup|old|orig|save|swp|swo|tmp~?)$",
            r"[^/]~$",
            r"/[^/]*\.php\.(?:\d|txt|dist)$",
            r"\.sql(?:\.(?:gz|bz2|zip|xz))?$",
            r"/(?:backup|dump|database|db|www|site|htdocs|wwwroot)s?\.(?:zip|tar|tgz|gz|rar|7z|tar\.gz|sqlite3?)$",
        ],
        LINES,
    ),
    make(
        "files-consoles",
        "Consoles and installers that are looked for everywhere, and known holes.",
        ("path",),
        [
            r"/wp-config\.",
            r"/(?:phpmyadmin|pma|myadmin|mysqladmin|adminer(?:-[\d.]+)?\.php)(?:/|$)",
            r"/vendor/phpunit/",
            r"/eval-stdin\.php",
            r"/actuator/(?:env|heapdump|threaddump|gateway|jolokia|logfile|shutdown)\b",
            r"/_ignition/execute",
            r"/cgi-bin/.*(?:\.\.|/bin/|luci)",
            r"/(?:manager|host-manager)/(?:html|text)",
            r"/hnap1",
            r"/boaform/",
            r"/solr/(?:admin|[^/]+/(?:config|dataimport))",
            r"/server-status$",
            r"/(?:php)?info\.php$",
            r"/shell\.php",
            r"/autodiscover/autodiscover\.xml.*@",
            r"/telescope/requests",
            r"/remote/fgt_lang",
        ],
        LINES,
    ),
    # -- the protocol
    make(
        "protocol-nul",
        "A NUL, which ends a text for some who read it, and not for others.",
        ("path", *ARGUMENTS),
        [
            r"\x00",
        ],
        LINES,
    ),
    make(
        "protocol-field",
        "A line break with a header field behind it: an answer that would be split in two.",
        ("path", *ARGUMENTS),
        [
            r"[\r\n]\s*(?:set-cookie|content-length|transfer-encoding|content-type|x-xss-protection"
            r"|access-control-[a-z-]+)\s*:",
            r"[\r\n]\s*location\s*:\s*(?:https?:)?//",
            r"[\r\n]\s*http/[0-3]",
        ],
        LINES,
    ),
    make(
        "protocol-request",
        "A whole request within an argument: for a server that would take it for the next one.",
        ("path", *ARGUMENTS),
        [
            r"(?:^|[\r\n])\s*(?:get|post|put|head|patch|delete|options|connect"
            r"|trace)\s+\S+\s+http/\d(?:\.\d)?\s*[\r\n]",
        ],
        LINES,
    ),
    make(
        "protocol-method",
        "Methods for debugging that show what others must not see.",
        ("method",),
        [literally(["TRACK", "DEBUG"])],
        (),
    ),
    make(
        "protocol-charset",
        "A character set in which text looks harmless until somebody decodes it.",
        ("field content-type",),
        [
            r"charset\s*=\s*[\"']?(?:utf-?7|utf-?16|utf-?32|ibm-?\d|cp037|ebcdic)",
        ],
        ("lowercase",),
    ),
    make(
        "protocol-twice",
        "What is still percent-encoded after it was decoded, and should not be.",
        ("path", *ARGUMENTS),
        [
            r"%(?:00|0a|0d|2e|3c|5c|60)",
        ],
        ("lowercase",),
        paranoia=2,
        severity="warning",
    ),
    make(
        "protocol-host",
        "A server that is asked for by its number: mostly somebody who walks through all addresses.",
        ("host",),
        [
            r"^[0-9.]+$",
            r":",
        ],
        (),
        paranoia=2,
        severity="notice",
    ),
    # -- requests that we would make for somebody
    make(
        "ssrf-metadata",
        "The address at which a cloud tells its machines their keys.",
        ("argument *", "argument names", "cookie *", "field referer"),
        [
            r"\b169\.254\.169\.254\b",
            r"\bmetadata\.google\.internal\b",
            r"\b100\.100\.100\.200\b",
            r"fd00:ec2::254",
            r"\[::ffff:(?:169\.254\.|a9fe:)",
            r"//(?:2852039166|0xa9fea9fe|0251\.0376\.0251\.0376|0xa9\.0xfe|169\.254\.43518|instance-data)\b",
            r"\b169\.254\.170\.2\b",
            r"/latest/meta-data",
        ],
    ),
    make(
        "ssrf-scheme",
        "An address of a scheme that no form asks for: gopher speaks to any server, file reads what is there.",
        ARGUMENTS,
        [
            r"\bgopher://",
            r"^['\" ]*(?:url:)?(?:dict|tftp|ldaps?|file|jar|netdoc|sftp|rmi|ldapi|smb)://?",
            r"\bjar:(?:https?|file):",
            r"^file:/",
        ],
    ),
    make(
        "ssrf-local",
        "An address of the machine itself, or its network, which a developer may mean honestly.",
        ARGUMENTS,
        [
            r"^(?:https?|ftp|wss?)://(?:[^/@]*@)?(?:localhost|127\.\d|0(?:\.0\.0\.0)?(?:[:/]|$)|\[::1?\]|10\.\d"
            r"|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|\[::ffff:)",
        ],
        paranoia=2,
    ),
    # -- who asks
    make(
        "scanner-agent",
        "A scanner that says its name.",
        ("field user-agent",),
        [
            r"\b(?:sqlmap|nikto|masscan|zgrab|nuclei|acunetix|netsparker|invicti|wpscan|joomscan|dirbuster"
            r"|dirsearch|gobuster|feroxbuster|ffuf|wfuzz|arachni|w3af|openvas|nessus|qualysguard|jaeles|havij"
            r"|zmeu|morfeus|whatweb|commix|xsstrike|thc-hydra|l9explore|l9tcpid|libredtail|skipfish|vega/|fimap"
            r"|absinthe|bsqlbf|jorgee|muieblackcat|webshag|grendel-scan|nmap scripting engine|burpcollaborator"
            r"|interactsh)",
        ],
        ("lowercase",),
    ),
)
