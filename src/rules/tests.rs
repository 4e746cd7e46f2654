//! The rule files: what is accepted, and what every mistake is told as.
use super::*;
use crate::model::DataType;

/// The ids other files rely on.
const IDS: &str = "personal_information
    device_information device_identifier imei meid imsi iccid android_id oaid vaid aaid gaid idfa idfv openudid udid
    guid serial_number mac_address device_model device_brand device_name os_version device_settings
    hardware_information root_status language region sensor_data
    network_information ip_address network_type network_status carrier wifi_information ssid bssid base_station
    bluetooth_information user_agent
    location precise_location coarse_location
    app_information installed_apps running_apps app_version package_name
    user_content clipboard contacts call_log sms calendar photos video call_recording voice files chat_messages
    identity name nickname avatar phone_number email postal_address birthday gender id_number company_name job_title
    username user_id password signature biometric_information face fingerprint
    financial_information bank_account payment_information transaction
    usage_information operation_log browsing_history search_history crash_log performance_data cookie";

fn builtin() -> RuleSet {
    match RuleSet::builtin() {
        Ok(rules) => rules,
        Err(errors) => panic!("{}", errors.iter().map(|e| format!("rules/{e}")).collect::<Vec<_>>().join("\n")),
    }
}

fn file(path: &str, text: &str) -> RuleFile {
    RuleFile { path: path.to_owned(), text: text.to_owned() }
}

fn errors(path: &str, text: &str) -> Vec<String> {
    RuleSet::check(&[file(path, text)]).iter().map(ToString::to_string).collect()
}

#[test]
fn every_built_in_file_is_right() {
    let summary = builtin().summary();
    assert!(summary.data_types >= 90 && summary.synonyms >= 1_000, "{summary:?}");
}

#[test]
fn the_ontology_has_the_ids_that_contracts_name_and_each_is_below_the_root() {
    let rules = builtin();
    let ontology = rules.ontology();
    for id in IDS.split_whitespace() {
        assert!(ontology.contains(id), "{id}");
        assert!(ontology.subsumes(&ontology.root(), &DataType::new(id)), "{id} is not below the root");
    }
    for id in ontology.ids() {
        assert!(ontology.subsumes(&ontology.root(), id), "{id} is not below the root");
    }
}

#[test]
fn the_ontology_knows_parts_ways_and_shared_parts() {
    let rules = builtin();
    let ontology = rules.ontology();
    let id = DataType::new;
    assert!(ontology.subsumes(&id("device_information"), &id("imei")));
    assert!(!ontology.subsumes(&id("imei"), &id("device_information")));
    assert_eq!(ontology.distance(&id("imei"), &id("device_information")), Some(2));
    assert_eq!(ontology.distance(&id("imei"), &id("imei")), Some(0));
    assert_eq!(ontology.distance(&id("imei"), &id("location")), None);
    assert_eq!(ontology.distance(&id("oaid"), &id("device_identifier")), Some(1));
    let path: Vec<String> = ontology
        .path(&id("ssid"), &id("network_information"))
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(path, ["ssid", "wifi_information", "network_information"]);
    assert!(ontology.common_descendant(&id("device_information"), &id("network_information")), "the MAC address");
    assert!(!ontology.common_descendant(&id("clipboard"), &id("network_information")));
    assert!(!ontology.common_descendant(&ontology.root(), &id("imei")), "the root shares nothing");
    assert!(ontology.children("wifi_information").contains(&id("bssid")));
    assert_eq!(ontology.label("imei", Lang::Zh), "国际移动设备识别码");
}

#[test]
fn terms_of_policies_mean_their_types() {
    let rules = builtin();
    let terms: std::collections::HashMap<String, &DataType> =
        rules.ontology().synonyms().map(|(term, id)| (normalise_alias(term), id)).collect();
    for (term, id) in [
        ("IMEI号", "imei"),
        ("国际移动设备识别码", "imei"),
        ("SIM序列号", "iccid"),
        ("SIM卡序列号", "iccid"),
        ("Android_ID", "android_id"),
        ("安卓ID", "android_id"),
        ("Mac 地址", "mac_address"),
        ("硬件地址", "mac_address"),
        ("Build.Serial", "serial_number"),
        ("SN", "serial_number"),
        ("唯一设备标识符", "device_identifier"),
        ("设备标识信息", "device_identifier"),
        ("设备ID", "device_identifier"),
        ("设备信息", "device_information"),
        ("剪切板内容", "clipboard"),
        ("粘贴板", "clipboard"),
        ("软件安装列表信息", "installed_apps"),
        ("APP安装列表信息", "installed_apps"),
        ("正在运行中的应用列表信息", "running_apps"),
        ("登陆IP地址", "ip_address"),
        ("地理位置信息", "location"),
        ("GPS位置信息", "precise_location"),
        ("接入网络的方式和类型", "network_type"),
        ("Google Advertising ID", "gaid"),
        ("手机通讯录信息", "contacts"),
        ("身份证件信息", "id_number"),
    ] {
        assert_eq!(terms.get(&normalise_alias(term)).map(|id| id.as_str()), Some(id), "{term}");
    }
}

#[test]
fn a_term_of_two_types_is_an_error() {
    let found = errors(
        "ontology/more.toml",
        "[[type]]\nid = \"hull_number\"\nparents = [\"identity\"]\nlabel_zh = \"船号\"\nlabel_en = \"hull number\"\nzh = [\"imei\"]\n",
    );
    assert_eq!(found, ["ontology/more.toml:6:7: term `imei` is already a name of `imei`"]);
}

#[test]
fn a_circle_of_parents_is_an_error() {
    let found = errors(
        "ontology/more.toml",
        "[[type]]\nid = \"aa\"\nparents = [\"bb\"]\nlabel_zh = \"甲甲\"\nlabel_en = \"aa aa\"\n[[type]]\nid = \"bb\"\nparents = [\"aa\"]\nlabel_zh = \"乙乙\"\nlabel_en = \"bb bb\"\n",
    );
    assert_eq!(found, ["ontology/more.toml:7:6: the parents of `bb` lead back to it"]);
}

#[test]
fn mistakes_name_file_line_and_column() {
    for (text, message) in [
        ("id = \"x\"\nname = \"甲\"\nhost = [\"a.example\"]\n", "sdks/x.toml:3:1: unknown field `host`"),
        (
            "id = \"x\"\nname = \"甲\"\nhosts = [\"https://a.example\"]\n",
            "sdks/x.toml:3:10: `https://a.example` is no host name",
        ),
        ("id = \"x\"\nname = \"甲\"\nhosts = []\n", "sdks/x.toml:3:9: `hosts` is empty"),
        ("id = \"x\"\nname = \"甲\"\nexpected = [\"imei\", \"imeo\"]\n", "sdks/x.toml:3:21: no data type `imeo`"),
        ("id = \"x\"\nname = \"甲\"\ncategory = [\"dentist\"]\n", "sdks/x.toml:3:13: no entity `dentist`"),
        ("id = \"X y\"\nname = \"甲\"\n", "sdks/x.toml:1:6: `X y` is no id"),
        ("id = \"x\"\nname = \"甲\"\npackages = [\"com.\"]\n", "sdks/x.toml:3:13: `com.` is no package prefix"),
        ("id = \"x\"\n\nname =\n", "sdks/x.toml:3:7: "),
        ("id = \"bugly\"\nname = \"甲\"\n", "sdks/x.toml:1:6: party `bugly` is already in sdks/bugly.toml"),
        (
            "id = \"x\"\nname = \"甲\"\naliases = [\"乙\", \"BUGLY SDK\"]\n",
            "sdks/x.toml:3:17: name `BUGLY SDK` is already claimed by `bugly`",
        ),
        (
            "id = \"x\"\nname = \"甲\"\nhosts = [\"bugly.qq.com\"]\n",
            "sdks/x.toml:3:10: host `bugly.qq.com` is already claimed by `bugly`",
        ),
    ] {
        let found = errors("sdks/x.toml", text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(message), "{} is not {message}", found[0]);
    }
}

#[test]
fn empty_lists_are_mistakes() {
    let head = "[[type]]\nid = \"hull_number\"\nlabel_zh = \"船号\"\nlabel_en = \"hull number\"\n";
    for (path, text, message) in [
        ("ontology/x.toml", format!("{head}parents = []\n"), "ontology/x.toml:5:11: empty list"),
        ("ontology/x.toml", format!("{head}parents = [\"identity\"]\nzh = []\n"), "ontology/x.toml:6:6: empty list"),
        ("identifiers/x.toml", "data_type = \"cookie\"\nstop = []\n".to_owned(), "identifiers/x.toml:2:8: empty list"),
        (
            "sdks/x.toml",
            "id = \"x\"\nname = \"甲\"\ncategory = []\n".to_owned(),
            "sdks/x.toml:3:12: `category` is empty",
        ),
    ] {
        let found = errors(path, &text);
        assert!(found[0].starts_with(message), "{found:?} is not {message}");
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let found = errors(
        "sdks/x.toml",
        "id = \"x\"\nname = \"甲\"\nhosts = [\"a b\"]\npackages = [\"-\"]\nexpected = [\"nose\"]\n",
    );
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_file_in_no_known_folder_is_an_error() {
    let found = errors("x.toml", "id = \"x\"\n");
    assert!(found[0].starts_with("x.toml:1:1: no kind of rule follows from the path"), "{found:?}");
}

#[test]
fn a_user_may_override_a_built_in_party() {
    let text = "id = \"bugly\"\nname = \"自家\"\nhosts = [\"bugly.example\"]\noverride = true\n";
    let rules = RuleSet::load(&[file("my/sdks/bugly.toml", text)]).expect("rules");
    assert_eq!(rules.party("bugly").map(|rule| &*rule.party.name), Some("自家"));
    assert!(rules.party_by_host("android.bugly.qq.com").is_none_or(|(rule, _)| rule.id() != "bugly"));
    assert_eq!(
        rules.party_by_host("x.bugly.example").map(|(rule, suffix)| (rule.id(), suffix)),
        Some(("bugly", "bugly.example"))
    );
}

#[test]
fn bad_identifier_rules_are_errors() {
    let head = "data_type = \"cookie\"\n";
    for (text, message) in [
        ("[[pattern]]\nregex = '(a'\nconfidence = \"likely\"\n", "identifiers/x.toml:3:9: bad pattern: unclosed group"),
        (
            "[[pattern]]\nregex = '\\b[0-9]+'\nconfidence = \"likely\"\n",
            "identifiers/x.toml:3:9: `\\b` is Unicode-aware",
        ),
        ("[[pattern]]\nregex = '\\d'\nconfidence = \"likely\"\n", "identifiers/x.toml:3:9: `\\d` is Unicode-aware"),
        (
            "[[key]]\nname = \"a\"\npattern = \"b\"\nconfidence = \"likely\"\n",
            "identifiers/x.toml:1:13: each [[key]] needs either",
        ),
        ("[[key]]\nname = \"a\"\nconfidence = \"sure\"\n", "identifiers/x.toml:4:14: unknown variant `sure`"),
        (
            "[[key]]\nname = \"a\"\nconfidence = \"likely\"\ncheck = \"magic\"\n",
            "identifiers/x.toml:5:9: unknown variant `magic`",
        ),
        ("[[key]]\nname = \"__\"\nconfidence = \"likely\"\n", "identifiers/x.toml:3:8: `__` is no key name"),
    ] {
        let found = errors("identifiers/x.toml", &format!("{head}{text}"));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(message), "{} is not {message}", found[0]);
    }
    assert_eq!(
        errors(
            "identifiers/x.toml",
            "data_type = \"cookie\"\n[[pattern]]\nregex = '(?-u:\\b)[0-9]'\nconfidence = \"possible\"\n"
        ),
        [""; 0]
    );
}

#[test]
fn entities_are_one_of_their_groups() {
    let rules = builtin();
    assert!(rules.entity_subsumes(THIRD_PARTY, "jpush"));
    assert!(rules.entity_subsumes("push_provider", "jpush"));
    assert!(!rules.entity_subsumes("map_provider", "jpush"));
    assert!(rules.entity_subsumes(THIRD_PARTY, "some-tracker.example"), "an unnamed domain is a third party");
    assert!(!rules.entity_subsumes(THIRD_PARTY, FIRST_PARTY));
    assert!(rules.entity_subsumes(ANYONE, FIRST_PARTY));
    assert_eq!(rules.entity_distance("jpush", "push_provider"), Some(1));
    assert_eq!(rules.entity_distance("jpush", THIRD_PARTY), Some(2));
    assert_eq!(rules.entity_distance("jpush", "jpush"), Some(0));
    assert_eq!(rules.entity_distance("some-tracker.example", THIRD_PARTY), Some(1));
}

#[test]
fn every_name_in_the_sdk_tables_of_the_test_policies_is_known() {
    let rules = builtin();
    for (name, id) in [
        ("百度地图SDK", "baidu_map"),
        ("友盟SDK", "umeng"),
        ("极光推送SDK", "jpush"),
        ("小米推送SDK", "xiaomi_push"),
        ("华为推送SDK", "huawei_push"),
        ("魅族推送SDK", "meizu_push"),
        ("OPPO推送SDK", "oppo_push"),
        ("VIVO推送SDK", "vivo_push"),
        ("bugly", "bugly"),
        ("腾讯X5浏览器", "tencent_x5"),
        ("微信分享SDK", "wechat"),
        ("QQ分享SDK", "qq"),
        ("钉钉分享SDK", "dingtalk"),
        ("华为", "huawei_push"),
        ("小米", "xiaomi_push"),
        ("OPPO", "oppo_push"),
        ("VIVO", "vivo_push"),
        ("魅族", "meizu_push"),
        ("极光", "jpush"),
        ("微信支付", "wechat_pay"),
        ("支付宝", "alipay"),
        ("高德地图", "amap"),
        ("百度地图", "baidu_map"),
        ("微信", "wechat"),
        ("科大讯飞", "iflytek"),
        ("萤石云", "ezviz"),
        ("腾讯云", "tencent_cloud"),
        ("极光魔链SDK", "jmlink"),
        ("腾讯浏览服务SDK", "tencent_x5"),
        ("Bugly SDK", "bugly"),
        ("腾讯地图", "tencent_map"),
        ("QQ互联", "qq"),
        ("QQ", "qq"),
        ("百度OCR", "baidu_ocr"),
        ("文心一言", "ernie"),
        ("小米 PUSH", "xiaomi_push"),
        ("华为 PUSH（华为HMS和华为推送更新）", "huawei_push"),
        ("OPPO PUSH", "oppo_push"),
        ("GrowingIO", "growingio"),
        ("Flutter（io.flutter）", "flutter"),
        ("io.flutter SDK", "flutter"),
        ("me.leolin SDK", "leolin"),
        ("tim SDK", "tencent_im"),
        ("Bugly（com.tencent.bugly）", "bugly"),
        ("com.tencent.bugly SDK", "bugly"),
        ("腾讯X5浏览器内核（com.tencent.smtt）", "tencent_x5"),
        ("爱加密加固", "ijiami"),
        ("即时通信IM（com.tencent.imsdk）", "tencent_im"),
        ("阿里云对象存储OSS（com.alibaba.sdk.android.oss）", "aliyun_oss"),
        ("腾讯云对象存储COS（com.tencent.qcloud）", "tencent_cos"),
        ("360加固（适用于APK/HAP/APK插件/SDK加固）", "jiagu360"),
        ("听云SDK（com.networkbench）", "tingyun"),
        ("企业微信", "wecom"),
        ("钉钉", "dingtalk"),
        ("阿里云", "aliyun"),
    ] {
        assert_eq!(rules.party_by_alias(name).map(PartyRule::id), Some(id), "{name}");
    }
    assert_eq!(rules.party_by_alias("六六六公司").map(PartyRule::id), None);
}

#[test]
fn each_sdk_is_reached_by_its_own_names_hosts_and_packages() {
    let rules = builtin();
    for rule in rules.sdks().chain(rules.companies()) {
        for alias in &rule.aliases {
            assert_eq!(rules.party_by_alias(alias).map(PartyRule::id), Some(rule.id()), "{alias}");
        }
        for host in &rule.hosts {
            let sub = format!("sub.{host}");
            assert_eq!(rules.party_by_host(&sub).map(|(rule, suffix)| (rule.id(), suffix)), Some((rule.id(), &**host)));
        }
        for package in &rule.packages {
            let class = format!("{package}.Main");
            assert_eq!(rules.party_by_package(&class).map(PartyRule::id), Some(rule.id()), "{package}");
        }
        assert!(rules.entity_subsumes(THIRD_PARTY, rule.id()), "{} is no third party", rule.id());
        assert!(rule.hosts.is_empty() || rule.source.is_some(), "{} has hosts without a source", rule.id());
    }
}

#[test]
fn storage_hosts_name_no_sdk() {
    let rules = builtin();
    for host in [
        "app.oss-cn-hangzhou.aliyuncs.com",
        "app-125.cos.ap-guangzhou.myqcloud.com",
        "x.tencentcos.cn",
        "cdn.bcebos.com",
    ] {
        let kind = rules.party_by_host(host).map(|(rule, _)| rule.kind);
        assert_ne!(kind, Some(PartyKind::Sdk), "{host}");
    }
}

#[test]
fn names_that_are_words_are_not_looked_for_in_running_text() {
    let rules = builtin();
    assert!(rules.party_by_alias("Branch").is_some());
    assert!(rules.party_aliases().all(|(alias, _)| alias != "Branch"));
    assert!(rules.party_aliases().any(|(alias, id)| alias == "个推" && id == "getui"));
}

#[test]
fn keys_of_requests_mean_their_types() {
    let rules = builtin();
    let best = |key: &str| {
        let key = normalise_key(key);
        rules
            .identifiers()
            .iter()
            .flat_map(|rule| rule.keys.iter().map(move |found| (rule, found)))
            .filter(|(_, found)| found.matcher.is_match(&key))
            .max_by_key(|(_, found)| found.confidence)
            .map(|(rule, _)| rule.data_type.to_string())
    };
    for (key, id) in [
        ("imei", "imei"),
        ("$device_imei", "imei"),
        ("Android-ID", "android_id"),
        ("oaid", "oaid"),
        ("gps_adid", "gaid"),
        ("mac_address", "mac_address"),
        ("wifiBssid", "bssid"),
        ("phoneNum", "phone_number"),
        ("latitude", "precise_location"),
        ("idCardNo", "id_number"),
        ("packageName", "package_name"),
    ] {
        assert_eq!(best(key).as_deref(), Some(id), "{key}");
    }
    assert_eq!(best("colour"), None);
}
