"""Places that are larger or smaller than a town: one can live in several of them at once.

Berlin, Kreuzberg and Germany do not contradict each other. The lists need not be whole.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(" ".join(name.split()) for name in text.split(",") if name.strip())


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


COUNTRIES = _names(
    """
    afghanistan, albania, algeria, argentina, armenia, australia, austria, azerbaijan, bangladesh,
    belarus, belgium, bolivia, bosnia, brazil, bulgaria, cambodia, cameroon, canada, chile, china,
    colombia, costa rica, croatia, cuba, cyprus, czechia, czech republic, denmark,
    dominican republic, ecuador, egypt, england, estonia, ethiopia, finland, france, georgia,
    germany, ghana, great britain, greece, guatemala, honduras, hungary, iceland, india, indonesia,
    iran, iraq, ireland, israel, italy, jamaica, japan, jordan, kazakhstan, kenya, kuwait, laos,
    latvia, lebanon, libya, lithuania, malaysia, malta, mexico, mongolia, morocco, myanmar, nepal,
    netherlands, new zealand, nicaragua, nigeria, north macedonia, northern ireland, norway, oman,
    pakistan, palestine, paraguay, peru, philippines, poland, portugal, qatar, romania, russia,
    saudi arabia, scotland, senegal, serbia, slovakia, slovenia, somalia, south africa,
    south korea, korea, spain, sri lanka, sudan, sweden, switzerland, syria, taiwan, tanzania,
    thailand, tunisia, turkey, türkiye, uganda, ukraine, united arab emirates, uae,
    united kingdom, uk, u.k, united states, united states of america, us, u.s, usa, america,
    uruguay, uzbekistan, venezuela, vietnam, wales, yemen, zambia, zimbabwe, europe, asia, africa,
    north america, south america, latin america, scandinavia, middle east, eu,
    alabama, alaska, arizona, arkansas, california, colorado, connecticut, delaware, florida,
    hawaii, idaho, illinois, indiana, iowa, kansas, kentucky, louisiana, maine, maryland,
    massachusetts, michigan, minnesota, mississippi, missouri, montana, nebraska, nevada,
    new hampshire, new jersey, new mexico, north carolina, north dakota, ohio, oklahoma, oregon,
    pennsylvania, rhode island, south carolina, south dakota, tennessee, texas, utah, vermont,
    virginia, west virginia, wisconsin, wyoming, new england, midwest, bay area, silicon valley,
    ontario, british columbia, alberta, manitoba, nova scotia, saskatchewan, new south wales,
    queensland, tasmania, bavaria, saxony, hesse, catalonia, andalusia, tuscany, sicily, provence,
    normandy, brittany, flanders, algarve, kent, essex, surrey, sussex, cornwall, yorkshire,
    guangdong, zhejiang, jiangsu, sichuan, yunnan, fujian, hunan, hubei, henan, hebei, shandong,
    hainan, hokkaido, okinawa, alps
    """
)
DISTRICTS = _names(
    """
    brooklyn, manhattan, queens, bronx, the bronx, harlem, staten island, soho, tribeca, hollywood,
    beverly hills, camden, hackney, brixton, shoreditch, notting hill, chelsea, kensington,
    greenwich, kreuzberg, neukölln, prenzlauer berg, charlottenburg, friedrichshain, mitte,
    schwabing, altona, montmartre, marais, trastevere, gracia, alfama, shibuya, shinjuku, gangnam,
    pudong, haidian, chaoyang, downtown
    """
)
COUNTRIES_HAN = _words(
    """
    中国 美国 英国 法国 德国 日本 韩国 俄罗斯 意大利 西班牙 葡萄牙 荷兰 比利时
    瑞士 瑞典 挪威 芬兰 丹麦 冰岛 奥地利 波兰 捷克 匈牙利 希腊 土耳其 爱尔兰
    苏格兰 英格兰 加拿大 墨西哥 巴西 阿根廷 智利 秘鲁 澳大利亚 澳洲 新西兰 印度
    泰国 越南 马来西亚 印尼 印度尼西亚 菲律宾 缅甸 柬埔寨 老挝 巴基斯坦 伊朗
    以色列 埃及 南非 沙特 阿联酋 乌克兰 欧洲 亚洲 非洲 美洲 北美 南美 东南亚
    国外 海外 国内 台湾 南方 北方 加州 德州 河北 山西 辽宁 吉林 黑龙江 江苏
    浙江 安徽 福建 江西 山东 河南 湖北 湖南 广东 海南 四川 贵州 云南 陕西 甘肃
    青海 内蒙古 广西 西藏 宁夏 新疆 东北 江南
    """
)
DISTRICTS_HAN = _words(
    """
    浦东 浦西 徐汇 静安 黄浦 长宁 虹口 杨浦 闵行 宝山 松江 嘉定 青浦 海淀 朝阳
    西城 东城 丰台 石景山 昌平 大兴 中关村 望京 五道口 国贸 天河 越秀 海珠 番禺
    白云 荔湾 南山 福田 罗湖 宝安 龙岗 前海 武侯 锦江 渝中 江北 余杭 滨江 萧山
    布鲁克林 曼哈顿 皇后区 市区 郊区 市中心 乡下 农村 城里 涩谷 新宿
    """
)
