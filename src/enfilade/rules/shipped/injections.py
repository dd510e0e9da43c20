"""Rules against code in the clothes of data."""

from __future__ import annotations

from enfilade.rules.rule import Rule
from enfilade.rules.shipped.making import ARGUMENTS, EVERYWHERE, FIELDS, LINES, SHELL, make

INJECTIONS: tuple[Rule, ...] = (
    # -- SQL
    make(
        "sql-union",
        "Appends another SELECT, to read from other tables.",
        EVERYWHERE,
        [
            r"\bunion(?: all| distinct)?[ (]+select\b ?(?:[(*@'\"+-]|\d|null\b|all\b|distinct\b|top\b|concat"
            r"|char ?\(|cast ?\(|[\w.`]+ ?(?:,|\bfrom\b|--|#|;|/|\())",
        ],
    ),
    make(
        "sql-always",
        "A comparison that is always true, or always false.",
        EVERYWHERE,
        [
            r"(?:['\"`]|\d)\)* ?(?:or|and|xor|\|\||&&) ?(?:not ?)?[('\"`]*(?:\d+['\"`)]* ?(?:=|<>|!=|<=>|<|>"
            r"|like\b|between\b|in ?\()|(?:true|false)['\")]* ?(?:$|--|#|;|=))",
            r"['\"`]\)* ?(?:or|and|xor|\|\||&&) ?\(*['\"`]\w*['\"`] ?(?:=|<>|!=|<|>|like\b|in\b)",
            r"['\"`] ?(?:\|\||or|and|xor) ?['\"`]?\w+['\"`]? ?(?:=|like) ?['\"`]\w*$",
            r"' ?= ?'[^']*$",
            r"' ?or ?(?:1|true|''=')",
        ],
    ),
    make(
        "sql-statement",
        "Ends a statement and begins another.",
        EVERYWHERE,
        [
            r";[ )'\"]*(?:(?:drop|alter|create|truncate) (?:table|database|schema|user|view|procedure|function"
            r"|index|login|role)\b|insert into\b|delete from\b|update [\w.`\[\]]+ set\b|exec(?:ute)? [\w(@]"
            r"|declare @|shutdown\b|waitfor\b|select\b.*\bfrom\b|select (?:pg_sleep|sleep|version|@@|user"
            r"|database)|copy \w+ (?:from|to)\b)",
        ],
    ),
    make(
        "sql-comment",
        "Closes a quote and comments out the rest of the statement.",
        ("argument *", "cookie *", "field user-agent", "field referer"),
        [
            r"['\"`]\)*[ ;]*(?:--|#)[ +-]*$",
            r"['\"]\)*;--",
            r"['\"`]\)* (?:--|#) ?\w{0,8}$",
            r"\d\)* ?;? ?--[ +-]*$",
            r"^admin'$",
        ],
    ),
    make(
        "sql-time",
        "Has the database wait, to learn from the time that it takes.",
        EVERYWHERE,
        [
            r"(?:^|[^.\w])sleep ?\( ?(?:[\d.]+ ?[,)*+-]|\(|select)",
            r"\bbenchmark ?\( ?\d",
            r"\bpg_sleep(?:_for)? ?\(",
            r"\bwaitfor (?:delay|time)\b",
            r"\bdbms_(?:pipe\.receive_message|lock\.sleep)",
            r"\brandomblob ?\( ?\d",
        ],
    ),
    make(
        "sql-function",
        "Functions and tables that tell about the database, or reach out of it.",
        EVERYWHERE,
        [
            r"\b(?:extractvalue|updatexml|load_file|xp_cmdshell|xp_dirtree|xp_regread|sp_executesql|sp_oacreate"
            r"|group_concat|gtid_subset|utl_(?:http|inaddr|file)\.\w+|dbms_xmlgen\.\w+|ctxsys\.drithsx\.\w+"
            r"|pg_read_file|lo_import|json_keys) ?\(",
            r"\b(?:from|join)[ (]+(?:information_schema\.|pg_catalog\.|mysql\.user|sysobjects|sqlite_master"
            r"|all_tables|master\.\.|msys)",
            r"@@(?:version|datadir|hostname|basedir)\b",
            r"\binto (?:out|dump)file ?['\"]",
            r"\bxp_cmdshell\b",
        ],
    ),
    make(
        "sql-order",
        "Counts the columns of a statement, or groups by them.",
        EVERYWHERE,
        [
            r"['\")] ?(?:order|group) by \d+(?: ?(?:,|--|#|$))",
            r"['\"] ?having \d",
            r"\bprocedure analyse ?\(",
            r"\d (?:order|group) by \d+ ?(?:--|#)",
        ],
    ),
    make(
        "sql-select",
        "A SELECT as a whole, which a text about databases may have, too.",
        ARGUMENTS,
        [
            r"(?:^|[('\"=;]) ?select\b.+\bfrom\b",
            r"\bselect [\w*,. ()]+ from [\w.`]+ (?:where|limit|order by|group by)\b",
            r"\binsert into [\w.`]+ ?(?:\(|values)",
            r"\bdelete from [\w.`]+ where\b",
            r"\bdrop (?:table|database) \w",
        ],
        paranoia=2,
    ),
    make(
        "sql-quote",
        "A quote with a word of SQL behind it.",
        ARGUMENTS,
        [
            r"['\"`]\)* ?(?:(?:or|and|xor)\b.*(?:=|<|>|\blike\b|\bis (?:not )?null\b)|having\b|union\b|(?:order"
            r"|group) by\b|limit \d)",
        ],
        paranoia=2,
    ),
    # -- databases without SQL
    make(
        "nosql-operator",
        "An operator of MongoDB for the name of a field.",
        ("argument names",),
        [
            r"\[ ?\$(?:n?eq?|[gl]te?|n?in|regex|where|exists|or|and|not|nor|expr|type|mod|elemmatch|function"
            r"|comment) ?\]",
        ],
    ),
    make(
        "nosql-code",
        "Code for a database to run.",
        ARGUMENTS,
        [
            r"['\"]?\$(?:where|function|accumulator)['\"]? ?:",
            r"\bdb\.\w+\.(?:find|insert|drop|update|remove|mapreduce) ?\(",
            r"['\"] ?(?:\|\||&&) ?(?:this\.|['\"]?\w*['\"]? ?={2,3} ?)",
            r"; ?return (?:true|this)\b",
        ],
    ),
    make(
        "nosql-json",
        "A comparison of MongoDB in JSON, which an interface may have by design.",
        ARGUMENTS,
        [
            r"\{ ?['\"]?\$(?:n?eq?|[gl]te?|n?in|regex|exists|or|and|not|nor|expr)['\"]? ?:",
        ],
        paranoia=2,
    ),
    # -- shells
    make(
        "shell-chain",
        "A command behind another.",
        (*EVERYWHERE,),
        [
            r"(?:[;|&\n\r`]|\$\() ?(?:sudo |/(?:usr/)?(?:local/)?s?bin/)?(?:(?:cat|tac|more|less|head|tail|ls|cp"
            r"|mv|rm|chmod|chown|wget|curl|n?cat|nc|(?:ba|z|da|k)?sh|python[23]?|perl|php|ruby|ping|nslookup|dig"
            r"|telnet|tftp|busybox|powershell|certutil|dir|type)(?:\.exe)? ?\+?(?:-[a-z]|[/~<$]|\.\.?/|https?:"
            r"|[a-z]:[/\\]|\d+\.\d+\.\d+\.\d+|%[a-z])|(?:whoami|uname|ifconfig|ipconfig|netstat|printenv"
            r"|systeminfo|tasklist)(?: -[a-z]+)? ?(?:[;|&`)\r\n]|$))",
            r"(?:[|&\n\r`]|\$\() ?id ?(?:[;|&`)\r\n]|$)",
        ],
        SHELL,
    ),
    make(
        "shell-substitution",
        "What a shell would put a command's output in place of.",
        EVERYWHERE,
        [
            r"\$\( ?(?:/\w+/)*(?:cat|id|whoami|curl|wget|ls|uname|(?:ba)?sh|ping|nslookup|expr|printenv|hostname"
            r"|sleep|echo)\b",
            r"` ?(?:id|whoami|uname|hostname|sleep \d+|(?:cat|curl|wget|ls|ping|nslookup) [^`]+) ?`",
            r"\$\{?ifs\b",
            r"\{(?:cat|ls|curl|wget|ping),",
        ],
        SHELL,
    ),
    make(
        "shell-program",
        "A shell by its path, or what only a shell's user would ask for.",
        EVERYWHERE,
        [
            r"/bin/(?:ba|z|da|k|c|a|tc)?sh\b",
            r"/dev/(?:tcp|udp)/\S",
            r"\bcmd(?:\.exe)? ?/[ck]\b",
            r"\bpowershell(?:\.exe)? -(?:e|c|w|nop|exec)",
            r"/usr/bin/(?:id|env|perl|python|wget|curl|whoami)\b",
            r"\bnc (?:-\w+ )+",
            r"\bchmod \+?[0-7x]+ ",
            r"\bwget (?:-\w+ )*https?://",
            r"\bcurl (?:-\w+ )*https?://",
        ],
        SHELL,
    ),
    make(
        "shell-shock",
        "A function for Bash, which ran what stands behind one in a variable (CVE-2014-6271).",
        ("argument *", "cookie *", "field *"),
        [
            r"^\(\) ?\{",
        ],
    ),
    # -- templates and code
    make(
        "template-expression",
        "An expression that a template would work out.",
        EVERYWHERE,
        [
            r"\{\{[^}]*(?:\d ?[*+-] ?['\"]?\d|\.__|\[['\"]__|\bconfig\b[.\[|]|\brequest\b\.|self\.|cycler|lipsum"
            r"|joiner\.|constructor|\| ?(?:attr|map) ?\()",
            r"\{% ?(?:import|include|set|for|if|debug|extends)\b",
            r"[$#*]\{ ?(?:\d+ ?[*+-] ?\d+|t ?\(|new |#|@|''\.|\"\"\.|self\.|product\.class)",
            r"<#(?:assign|if|list)\b",
            r"#set ?\( ?\$",
            r"<%=? ?[^%]*(?:\*|system|file\.|exec|io\.)[^%]*%>",
        ],
    ),
    make(
        "template-include",
        "A directive that a server would carry out within a page.",
        EVERYWHERE,
        [
            r"<!--# ?(?:exec|include|echo|set|printenv|config|fsize)\b",
            r"<esi:(?:include|inline|debug|vars)\b",
        ],
    ),
    make(
        "code-python",
        "Python that looks for a way out, or a pickle.",
        EVERYWHERE,
        [
            r"(?:\.|\[['\"]|\(['\"])__(?:class|mro|bases?|subclasses|globals|builtins|import|init|dict)__",
            r"\b__import__ ?\(",
            r"\bos\.(?:system|popen|exec\w*) ?\(",
            r"\bsubprocess\.(?:popen|call|run|check_\w+) ?\(",
            r"c(?:os|posix)\nsystem",
        ],
        LINES,
    ),
    make(
        "code-javascript",
        "JavaScript for a server to run, or that changes what all objects have.",
        ARGUMENTS,
        [
            r"\brequire ?\( ?['\"](?:node:)?(?:child_process|fs|vm|os|net)",
            r"\bprocess\.(?:mainmodule|binding|env\.)",
            r"_\$\$nd_func\$\$_",
            r"\bglobal\.process\b",
            r"__proto__",
            r"\bconstructor(?:\.|\[)prototype",
        ],
    ),
    make(
        "code-java",
        "Java that starts a process, or reaches its classes by an expression.",
        EVERYWHERE,
        [
            r"\bjava\.(?:lang\.(?:runtime|processbuilder|system|class)|io\.file|net\.url)\b",
            r"\bgetruntime ?\(",
            r"\bclass\.module\.classloader\b",
            r"#_memberaccess",
            r"@ognl\.",
            r"\bognlcontext\b",
            r"%\{ ?\(?#",
            r"#context\[",
            r"xwork2?\.",
            r"\bnew processbuilder\b",
            r"freemarker\.template\.utility",
        ],
    ),
    make(
        "code-serialized",
        "A Java or .NET object, which is code for whoever reads it.",
        ARGUMENTS,
        [
            r"^(?:ro0ab[a-z0-9+/=_-]{8}|aced0005[0-9a-f]{8}|aaeaaad/////)",
        ],
        LINES,
    ),
    # -- other languages that are put together from texts
    make(
        "ldap-filter",
        "Closes a filter of LDAP and opens another.",
        ("argument *", "cookie *"),
        [
            r"\*\) ?\(",
            r"\) ?\( ?[|&!] ?[()]",
            r"\)\( ?(?:uid|cn|mail|sn|objectclass|userpassword|samaccountname|memberof) ?[~<>]?=",
            r"^\*\)\)",
            r"\( ?[|&] ?\( ?\w+ ?=",
        ],
    ),
    make(
        "xpath-expression",
        "Closes an expression of XPath and goes on elsewhere in the document.",
        ARGUMENTS,
        [
            r"['\"] ?\] ?\| ?/",
            r"\b(?:ancestor|descendant|following|preceding|child|parent|attribute)(?:-or-self|-sibling)?::(?:\*"
            r"|node\b|text\b|\w+\[)",
            r"\b(?:count|name|string-length|substring) ?\( ?/{1,2}[*\w]",
            r"['\"] ?(?:or|and) ?(?:count|string-length|name|position|contains|last) ?\(",
        ],
    ),
    make(
        "php-wrapper",
        "An address that PHP opens like a file, or runs.",
        ("path", *ARGUMENTS),
        [
            r"\bphp://(?:filter|input|stdin|memory|temp|fd|output)",
            r"\b(?:phar|expect|zip|compress\.zlib|glob|ogg)://",
            r"\bdata:[a-z/]*;base64,pd9",
            r"\ballow_url_include\b",
            r"\bauto_prepend_file\b",
        ],
    ),
    make(
        "php-code",
        "PHP.",
        EVERYWHERE,
        [
            r"<\?(?:php\b|=| ?echo\b)",
            r"\b(?:shell_exec|passthru|phpinfo|call_user_func(?:_array)?|proc_open|create_function|gzinflate"
            r"|str_rot13|move_uploaded_file|file_put_contents) ?\(",
            r"\b(?:eval|assert|system|exec|include|require) ?\(? ?(?:base64_decode ?\(|\$_|\$\{|chr ?\()",
            r"\$_(?:get|post|request|server|cookie|files|session) ?\[",
            r"\bbase64_decode ?\( ?['\"$]",
            r"/index/\\?think\\?app",
            r"invokefunction",
        ],
    ),
    make(
        "php-object",
        "An object in PHP's own notation, which is made when it is read.",
        ARGUMENTS,
        [
            r"(?:^|[;{])[oc]:\+?\d+:\"[\w\\]+\":\d+:\{",
        ],
    ),
    make(
        "jndi-lookup",
        "A look-up that Log4j carried out wherever it was logged (CVE-2021-44228), also where it is hidden in others.",
        FIELDS,
        [
            r"\$\{ ?(?:jndi|ctx|lower|upper|env|sys|java|main|bundle|base64|docker|k8s|spring) ?:",
            r"\$\{[^}]*\$\{[^}]*:",
            r"\$\{[^}$]*::-",
        ],
    ),
    # -- pages
    make(
        "xss-script",
        "A script for somebody else's browser.",
        EVERYWHERE,
        [
            r"<(?:[a-z0-9]+:)?script[\s/>]",
            r"</script",
            r"<(?:iframe|object|embed|base|applet|frameset|xml)\b[^>]*(?:src|href|data|code|srcdoc) ?=",
            r"<meta\b[^>]*(?:http-equiv|refresh)",
            r"<link\b[^>]*href ?= ?['\"]?(?:https?:|//)",
            r"<style\b[^>]*>[^<]*(?:@import|expression|behavior)",
        ],
    ),
    make(
        "xss-handler",
        "An element with a script for when something happens to it.",
        EVERYWHERE,
        [
            r"<[a-z!/][^>]*[\s/\"'`]on[a-z]{3,24} ?=",
            r"['\"`][\s/]*on(?:error|load|click|focus|mouse\w+|toggle|begin|start|key\w+|animation\w+"
            r"|pointer\w+) ?= ?\S",
            r"\bsrcdoc ?=",
        ],
    ),
    make(
        "xss-address",
        "A script in place of an address.",
        EVERYWHERE,
        [
            r"^[\s'\"]*(?:j ?a ?v ?a ?s ?c ?r ?i ?p ?t|vbscript|livescript) ?:[^ ]",
            r"(?:href|src|action|formaction|data|to|from|values|background) ?= ?['\"]? ?(?:java ?script|vbscript"
            r"|data:text/html) ?:?",
            r"\bdata:text/html[;,]",
            r"\bdata:image/svg\+xml[^,]*,.*(?:<svg|pht2z)",
        ],
    ),
    make(
        "xss-breakout",
        "Leaves a text within a script, to go on as one.",
        ARGUMENTS,
        [
            r"['\"`] ?[-+*/;,)}|&^]+ ?(?:alert|confirm|prompt|eval|fetch|import|settimeout|window|document"
            r"|location|top|self|parent)\b ?[(`\[.=]",
            r"\b(?:alert|confirm|prompt) ?(?:\(|`) ?(?:\d+|document\.|window\.|['\"/]?xss)",
            r"\bdocument\.(?:cookie|write ?\(|domain)",
            r"\bstring\.fromcharcode ?\(",
            r"\[['\"](?:alert|eval|constructor)['\"]\]",
        ],
    ),
    make(
        "xss-markup",
        "Markup of any kind that browsers act upon.",
        ARGUMENTS,
        [
            r"<(?:a|img|svg|math|form|input|button|video|audio|body|html|details|marquee|isindex|style|link|meta"
            r"|template|textarea|select)\b[^<]*>",
            r"\+adw-",
            r"\bwindow\.(?:location|open|name)\b",
            r"\.innerhtml\b",
            r"\beval ?\(",
        ],
        paranoia=2,
    ),
    make(
        "xml-entity",
        "XML that fetches files, or grows when it is read.",
        EVERYWHERE,
        [
            r"<!entity\b",
            r"<!doctype\b[^>]*(?:\bsystem\b|\[)",
            r"<xi:include\b",
            r"xmlns:xi ?=",
            r"<\?xml-stylesheet\b",
            r"<xsl:(?:stylesheet|value-of|include)\b",
        ],
    ),
)
