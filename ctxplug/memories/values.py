"""Values: whether what is said of a thing names its one value, or only tells something of it.

"Lives in Lisbon" names a home, "lives in fear" does not; "my job is nurse" names a job,
"my job is boring" does not. What does not look like a value of its kind is no value:
a memory that stays too long is a nuisance, one that is wrongly superseded is a loss.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ctxplug.memories.places import COUNTRIES, COUNTRIES_HAN, DISTRICTS, DISTRICTS_HAN

Capitals = frozenset[str]
"""The words of a text that are written with a capital letter, in lower case."""

_HAN = re.compile("[\u4e00-\u9fff]")
_WORD = re.compile(r"[^\W_][\w'’.-]*")
_PARTICLES = frozenset(
    ["of", "de", "la", "le", "el", "the", "upon", "am", "an", "der", "do", "dos", "di", "da"]
)
_NO_HOME = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|january|february|march|april|may|june|july"
    r"|august|september|october|november|december|.*\d.*|next .*|tomorrow|noon|midnight"
    r"|linux|ubuntu|debian|windows|macos|android|ios|python|java|javascript|typescript|rust|go"
    r"|golang|c\+\+|vim|neovim|emacs|vs ?code|kubernetes|docker|aws|azure|postgres\w*|mysql"
    r"|sqlite|slack|teams|zoom|discord|notion|obsidian|evernote|jira|trello|asana|github|gitlab"
    r"|gmail|outlook|google.*|apple.*|microsoft.*|firefox|chrome|safari|excel|whatsapp|telegram"
    r"|signal|spotify|netflix|marketing|sales|engineering|finance|product|support|design|hr"
    r"|react|angular|vue|svelte|django|flask|redis|mongo\w*|openai|claude|chatgpt|gemini"
    r"|(?:student|building|team|plan|chapter|senior|junior|level|room|unit|block|apartment|flat|floor"
    r"|part|phase|stage|step|section|version|tier|grade|row|seat|table|gate|platform|track|lane|group"
    r"|class|department|head|chief|vice)(?: .*)?"
    r"|research|management|operations"
    r"|.* (?:engineer|manager|director|developer|designer|analyst|[a-z])"
    r"|.* (?:team|department|group|role|position|project|plan)"
)
_NO_HOME_HAN = re.compile(
    ".*(?:[的我你他她]|办公|公司|宿舍|酒店|宾馆|公寓|隔壁|附近|电脑|手机|系统|软件|平台).*"
    "|(?!石家庄|张家[口界港]|老家).*家|.*[楼层房室店舍校院位排桌边旁里外间床铺号屋栋组班队年月周天]"
)
_NO_EMPLOYER = re.compile(
    r"(?:building|floor|room|desk|table|team) .*|"
    r"(?:.* )?(?:office|team|department|headquarters|campus|branch|store|site|night|home"
    r"|weekends?|\w+days|christmas|easter|\w+day|january|february|march|april|may|june|july|august|september"
    r"|october|november|december)"
)
_EMPLOYER_HAN = re.compile(
    "谷歌|苹果|腾讯|阿里(?:巴巴|云)?|百度|字节(?:跳动)?|华为|微软|亚马逊|京东|美团|小米|网易|拼多多|滴滴|脸书"
    "|特斯拉|英特尔|英伟达|三星|索尼|联想|快手|小红书|蚂蚁(?:集团|金服)?|比亚迪|大疆|携程|新浪|搜狐|哔哩哔哩|中兴"
    "|(?!一[家个所]|这|那|自己|各|某|同一|别的)[\u4e00-\u9fffa-z0-9]{2,10}"
    "(?:公司|集团|银行|医院|大学|中学|小学|学院|研究院|研究所|科技|出版社|电视台|报社|事务所)"
)
_JOB = re.compile(
    r"(?!(?:.* )?(?:better|harder|easier|tougher|safer|closer|other|over|never|disaster|killer"
    r"|volunteer|important|different|excellent|permanent|urgent|decent|pleasant|unpleasant|matter"
    r"|answer|center|centre|hunger|danger)\b)"
    r"(?:[\w/-]+ ){0,3}(?:\w+(?:er|or|ist|ian|eer|ant|ent|man|woman)|nurse|chef|cook|pilot|judge"
    r"|clerk|vet|coach|guide|barista|nanny|ceo|cto|cfo|attorney|midwife|secretary|dean|lead|vp"
    r"|therapist|paramedic|mechanic|diplomat|au pair|freelance|intern|athlete|postdoc)"
)
_JOB_HAN = re.compile(
    "[\u4e00-\u9fffa-z]{0,7}(?:[师生员家者长手官警匠医护士工]|会计|翻译|编辑|记者|导演|经理|总监|助理|秘书|司机"
    "|教授|农民|销售|运营|客服|老板|店主|主播|模特|保安|顾问|合伙人|创始人|律师)"
)
_SURNAME = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高梁郑谢宋唐许邓冯韩曹曾彭萧肖蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任"
    "姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武莫孔汤尚温康施文牛"
    "樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁阮符舒纪梅童凌毕单裴霍涂成苗谷盛曲翁冉骆蓝路游"
    "辛靳欧管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应"
    "臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩明佘池查麻苑迟邝"
)
_NAME_HAN = re.compile(
    f"(?!周[末一二三四五六日]|时[候间常]|安排|成了|全[家都部]|连[夜忙]|应该|明[天年白]|于是|和[我你他她]|路[过上]|包[子裹]|车[子]|米饭|任何)"
    f"[{_SURNAME}][\u4e00-\u9fff]{{1,2}}|(?:欧阳|司马|上官|诸葛|司徒|东方|慕容|令狐|皇甫)[\u4e00-\u9fff]{{1,2}}"
)
_PEOPLES = re.compile(
    r"(?:german|french|italian|english|spanish|chinese|japanese|korean|russian|polish|greek|turkish"
    r"|arabic|hebrew|latin|indian|mexican|thai|vietnamese|portuguese|dutch|swedish|danish|irish"
    r"|american|british|european|asian|african|hungarian|czech|persian|hawaiian)"
)
_OF_NAMES = (
    *("book", "movie", "film", "band", "singer", "artist", "author", "actor", "actress", "writer"),
    *("player", "musician", "composer", "painter", "poet", "song", "album", "show", "game", "club"),
    *("team", "restaurant", "city", "country", "brand", "person", "director", "podcast", "novel"),
)
_QUALIFIED = re.compile(r"(?:current|preferred|default) (?P<what>.+)")
_OF_A_PEOPLE = ("language", "cuisine", "nationality")
_TELLING = re.compile(
    r"(?:.* )?(?:\w{2,}(?:ed|ful|less|ous|able|ible)|closed|open|dead|alive|late|early|slow|fast"
    r"|broken|expensive|cheap|free|full|empty|gone|lost|missing|over|done|here|there|long|short|high|low"
    r"|big|small|huge|tiny|old|new|young|good|bad|great|best|better|worst|worse|fine|ok|okay|well"
    r"|nice|cool|awesome|fun|funny|hard|easy|simple|tough|heavy|light|loud|quiet|safe|sad|happy"
    r"|boring|annoying|amazing|interesting|exciting|stressful|growing|failing|working|running|going"
    r"|private|secret|unknown|different|important|wrong|right|true|false|unclear|urgent|ready|sure"
    r"|it|this|that|them|mine|yours|everything|nothing|something|anything|none|coming|busy|on|off"
    r"|up|down|out|back|away|hot|cold|warm|dirty|clean|popular|famous|overdue|pending|insane|lovely"
    r"|pregnant|touring|winning|losing|first|second|third|last|next|temporary|permanent|part-time"
    r"|full-time|remote|vegan|vegetarian|spicy|sweet|delicious"
    r"|how|why|what|when|about .*"
    r"|\d+ [a-z]+"
    r"|perfect|terrible|horrible|wonderful|excellent|healthy|tasty|yummy|near|far|soon|too|ours)"
)
_TELLING_HAN = re.compile(
    ".*(?:的|很|太|非常|特别|坏了|关门|倒闭|去世|好吃|好看|好听|有趣|无聊|贵|便宜).*|.*[着过]|.{2,}人"
)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MARITAL = re.compile(
    "single|married|divorced|widowed|engaged|separated|in relationship"
    "|已婚|未婚|离异|离婚|单身|丧偶|订婚"
)


def capitals_of(text: str) -> Capitals:
    """Return the words of `text` that begin with a capital letter, in lower case."""
    words = (w.casefold().strip(".") for w in _WORD.findall(text) if w[0].isupper())
    return frozenset(w.removesuffix("'s").removesuffix("’s") for w in words)


def value_of(what: str, value: str, capitals: Capitals) -> tuple[str, str] | None:
    """Return the attribute and its value, or None if `value` names no value of `what`.

    A home may turn out to be a country or a district, which are attributes of their own.
    """
    if what in ("home", "hometown"):
        return _place(what, value, capitals)
    qualified = _QUALIFIED.fullmatch(what)
    check = _CHECKS.get(qualified["what"] if qualified else what) or _free(what)
    found = check(value, capitals)
    return None if found is None else (_notation(what, value), found)


def _notation(what: str, value: str) -> str:
    """Return the attribute; what is written in two ways at once is two."""
    if what == "name" and _HAN.search(value):
        return "name in Chinese"
    if what == "timezone":
        offset = re.match("utc|gmt", value) is not None
        return f"{what} {'offset' if offset else 'city' if '/' in value else 'name'}"
    return what


def is_named(value: str, capitals: Capitals) -> bool:
    """Say whether every word of `value` is written as a name is."""
    words = [word.strip(".") for word in value.replace("/", " ").split()]
    return bool(words) and all(w in capitals or w in _PARTICLES or not w for w in words)


def is_name(value: str) -> bool:
    """Say whether a Chinese text has the form of a full name, such as 陈伟."""
    return _NAME_HAN.fullmatch(value) is not None


def _place(what: str, value: str, capitals: Capitals) -> tuple[str, str] | None:
    if _HAN.search(value):
        if _NO_HOME_HAN.fullmatch(value) or len(value) > 8:
            return None
        place = value.removesuffix("市") if len(value) > 2 else value
        if place in COUNTRIES_HAN or (place.endswith("省") and len(place) > 2):
            return f"{what} country", place
        far = place in DISTRICTS_HAN or place.endswith(("区", "县", "镇", "乡", "村", "路", "街"))
        return (f"{what} district", place) if far and "市" not in place else (what, place)
    if not is_named(value, capitals) or _NO_HOME.fullmatch(value):
        return None
    if value in COUNTRIES:
        return f"{what} country", value
    return (f"{what} district", value) if value in DISTRICTS else (what, value)


def _employer(value: str, capitals: Capitals) -> str | None:
    if _HAN.search(value):
        return value if _EMPLOYER_HAN.fullmatch(value) else None
    named = is_named(value, capitals) or (value.isascii() and any(c.isdigit() for c in value))
    return value if named and not _NO_EMPLOYER.fullmatch(value) else None


def _job(value: str, capitals: Capitals) -> str | None:
    form = _JOB_HAN if _HAN.search(value) else _JOB
    return value if form.fullmatch(value) else None


def _name(value: str, capitals: Capitals) -> str | None:
    if _HAN.search(value):
        return value if is_name(value) else None
    named = is_named(value, capitals) or (value.isascii() and not capitals and value.isalpha())
    return value if named and not _PEOPLES.fullmatch(value) else None


def _named(value: str, capitals: Capitals) -> str | None:
    if _HAN.search(value):
        return value if len(value) <= 4 and not _TELLING_HAN.fullmatch(value) else None
    return value if is_named(value, capitals) else None


def _age(value: str, capitals: Capitals) -> str | None:
    found = re.fullmatch(r"(\d{1,3})(?: years?(?: old)?|周?岁)?", value)
    return found and found[1]


def _birthday(value: str, capitals: Capitals) -> str | None:
    """Return month and day, and the year after them; 5月3日, 3 May, 1990-05-03."""
    iso = re.fullmatch(r"(?P<y>\d{4})[-/年](?P<m>\d{1,2})[-/月](?P<d>\d{1,2})[日号]?", value)
    found = iso or re.fullmatch(r"(?P<y>)(?P<m>\d{1,2})月(?P<d>\d{1,2})[日号]", value)
    if found:
        return f"{int(found['m'])}-{int(found['d'])} {found['y']}".strip()
    found = re.fullmatch(
        r"(?:(?P<d>\d{1,2})(?:st|nd|rd|th)? (?:of )?)?(?P<m>[a-z]{3})[a-z]*"
        r"(?: (?P<day>\d{1,2})(?:st|nd|rd|th)?)?(?: (?P<y>\d{4}))?",
        value,
    )
    if found is None or found["m"] not in _MONTHS or not (found["d"] or found["day"]):
        return None
    day = int(found["d"] or found["day"])
    return f"{_MONTHS.index(found['m']) + 1}-{day} {found['y'] or ''}".strip()


def _email(value: str, capitals: Capitals) -> str | None:
    return value if re.fullmatch(r"\S+@\S+\.\S+", value) else None


def _phone(value: str, capitals: Capitals) -> str | None:
    digits = re.sub(r"\D", "", value)
    written = re.fullmatch(r"[+(]?[\d ().+/-]+", value)
    return digits.lstrip("0") if written and len(digits) >= 5 else None


def _address(value: str, capitals: Capitals) -> str | None:
    return value if re.search(r"\d|[路街号弄巷镇村区]", value) else None


def _timezone(value: str, capitals: Capitals) -> str | None:
    form = r"(?:utc|gmt) ?[+-]?[\d:]*|\w+/\w+|.*(?:时区|时间|区)"
    return value if is_named(value, capitals) or re.fullmatch(form, value) else None


def _marital(value: str, capitals: Capitals) -> str | None:
    return value if _MARITAL.fullmatch(value.replace(" a ", " ")) else None


def _size(value: str, capitals: Capitals) -> str | None:
    return value if re.search(r"\d|[一二三四五六七八九十]", value) else None


def _free(what: str) -> Callable[[str, Capitals], str | None]:
    """Return the check of a favourite, a default and the like: it tells of nothing."""

    def check(value: str, capitals: Capitals) -> str | None:
        if _HAN.search(value):
            return None if _TELLING_HAN.fullmatch(value) else value
        if _PEOPLES.fullmatch(value) and not what.endswith(_OF_A_PEOPLE):
            return None
        if what.endswith(_OF_NAMES) and not is_named(value, capitals):
            return None
        return None if _TELLING.fullmatch(value) else value

    return check


_CHECKS: dict[str, Callable[[str, Capitals], str | None]] = {
    "employer": _employer, "job": _job, "job title": _job, "name": _name, "nickname": _named,
    "surname": _named, "first name": _named, "last name": _named, "age": _age,
    "birthday": _birthday, "email": _email, "phone": _phone, "address": _address,
    "timezone": _timezone, "marital status": _marital, "shoe size": _size,
}  # fmt: skip
