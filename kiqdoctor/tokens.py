"""The shapes by which tokens of services are known without a name beside them."""

from typing import Final

from kiqdoctor.regex import regex

SHORTEST: Final = 20  # characters of a token

BEGINNINGS: Final = regex(  # how tokens begin, in lower case; by their first letters, which a search is quick with
    r"a(?:kia|sia|bsk|iza|t[ac]tt3|tbb|tlasv1|ccess(?:-|_token\$)|ge-secret)|b(?:k[a-z]{2}_)|c(?:cipat_|fpat-)"
    r"|d(?:o[opr]_v1_|api|ckr_|p\.|t0[a-z])|e(?:yj|aa[ac]|z[at]k)|f(?:m[12]|igd_|lwseck)"
    r"|g(?:h[opusr]_|ithub_pat_|l[a-z]{1,6}[-_]|r1348941|ocspx|sk_)|h(?:f_|v[rsb]\.|rku-|c[a-z]{2}k_)|k(?:ey-)|l(?:in_api_|tai)"
    r"|m[a-z0-9]{23,27}\.|n(?:pm_|rak-|ral|vapi-|fp_|tn_|[a-z0-9]{23,27}\.)|o(?:ps_ey|[a-z0-9]{23,27}\.)"
    r"|p(?:ypi-|scale_|plx-|at[a-z0-9]{14}\.|mak-|ul-|nu_)|q~|r(?:k_(?:live|test)_|ubygems_|8_|zp_)"
    r"|s(?:k_(?:live|test)_|g\.|k-|h(?:pat|pca|ppa|pss|ippo)_|q0|bp_|b_secret_|ecret_|ntry[su]_|q[apu]_|dk-|k[0-9a-f]{32})"
    r"|t(?:skey-|fp_)|v1\.0-|whsec_|x(?:ox|app-|keysib-|smtpsib-|ai-)|ya29\.|1//0|:aa|-us[0-9]|-----begin|\$[256ya]"
)
BARE: Final = regex(  # those that look like a name: letters, digits and dots
    r"eyJ|SG\.|AKIA|ASIA|ABSK|AIza|hv[rsb]\.|ya29\.|AT[AC]TT3|ATBB|dapi|atlasv1|GR1348941|1//0|NRAL|dp\.|pat[A-Za-z0-9]{14}\."
    r"|dt0[a-z]|LTAI|EAA|EZ[AT]K|Q~|SK[0-9a-f]{32}|[MNO][A-Za-z0-9]{23,27}\.|\$[256ya]"
)
_ALNUM: Final = r"(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{20,255}"  # as tokens go on that words do not
_UUID: Final = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
SHAPES: Final = (
    # Beginnings that no word ends with: also where one is glued to it.
    regex(
        r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])|ABSK[A-Za-z0-9+/=]{60,200}"  # AWS
        r"|(?:github|dckr)_pat_[A-Za-z0-9_-]{20,255}|dckr_oat_[\w-]{20,100}"
        r"|gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct)-(?=[\w-]{0,60}[0-9])[\w-]{16,255}(?:\.[\w.-]{6,40})?"
        r"|GR1348941[\w-]{20,30}|xapp-[0-9]-[A-Z0-9]{6,20}-[0-9]{6,20}-[0-9a-f]{20,100}"
        r"|xox[abeoprs]-[0-9]{6,20}-[A-Za-z0-9-]{6,255}|AIza[\w-]{30,60}|GOCSPX-[\w-]{20,60}|do[opr]_v1_[0-9a-f]{40,80}"
        r"|sh(?:pat|pca|ppa|pss)_[0-9a-fA-F]{32}|rubygems_[0-9a-f]{40,60}|hv[rsb]\.[\w-]{20,500}|ya29\.[\w-]{20,500}"
        r"|AT[AC]TT3[\w=-]{30,255}|dapi[0-9a-f]{32}(?![0-9a-z])|pscale_[a-z]{2,8}_[\w.-]{20,100}"
        r"|AGE-SECRET-KEY-1[A-Z0-9]{50,70}|SG\.[\w-]{22}\.[\w-]{43}|pypi-AgE[\w-]{40,500}|x(?:key|smtp)sib-[0-9a-f]{40,80}-\w{10,20}"
    ),
    regex(
        r"(?:pplx|nvapi|HRKU|CFPAT)-[\w-]{30,255}|PMAK-[0-9a-f]{24}-[0-9a-f]{20,40}|tskey-[a-z]{2,12}-[\w-]{16,100}"
        r"|FLWSECK(?:_TEST)?-\w{20,40}-X|CCIPAT_\w{20,30}_[0-9a-f]{40}|glsa_\w{32}_[0-9a-f]{8}|(?:glc|ops)_eyJ[\w+/=-]{30,2000}"
        r"|sntrys_[\w+/=-]{40,400}|sntryu_[0-9a-f]{64}|figd_[\w-]{30,60}|shippo_(?:live|test)_[0-9a-f]{40}|sb_secret_[\w-]{20,60}"
        r"|dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,100}|dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}|EZ[AT]K[A-Za-z0-9]{54}"
        r"|access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}|hc[ab][il]k_[0-9a-z]{40,80}|v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"
        rf"|access-(?:production|sandbox|development)-{_UUID}|EAA[AC][A-Za-z0-9]{{56,400}}|[\w~.-]{{3}}[0-9]Q~[\w~.-]{{31,34}}"
        r"|1//0[\w-]{30,255}|[0-9a-f]{32}-us[0-9]{1,2}\b|\b[0-9a-f]{36}NRAL\b|pat[A-Za-z0-9]{14}\.[0-9a-f]{64}"
        r"|\b[0-9]{8,10}:AA[\w-]{33}(?![\w-])|fm[12](?:ar|r|a)?_[\w+/=-]{60,1000}"  # Telegram's bots, Fly's
        r"|eyJ[\w-]{8,2000}+\.eyJ[\w-]{8,2000}+(?:\.[\w-]{0,2000}+)?"  # JSON web tokens
    ),
    # Those that a word may end with, as task_live_ and graph_: glued only where letters and digits follow.
    regex(
        rf"\bgh[pousr]_[A-Za-z0-9]{{20,255}}|gh[pousr]_{_ALNUM}"
        r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,255}|\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|ffct)-[\w-]{16,255}(?:\.[\w.-]{6,40})?"
        rf"|\b[rs]k_(?:live|test)_[A-Za-z0-9]{{10,255}}|[rs]k_(?:live|test)_{_ALNUM}|rzp_(?:live|test)_[A-Za-z0-9]{{14}}"
        r"|\bhf_[A-Za-z0-9]{30,60}|\bsk-(?:(?:proj|svcacct|admin|ant-[a-z0-9]{2,8}|or-v1|lf)-[\w-]{20,255}|[A-Za-z0-9]{40,64}\b)"
        r"|\bwhsec_[A-Za-z0-9+/=]{20,100}|\bsq0[a-z]{3}-[\w-]{20,60}|\blin_api_[A-Za-z0-9]{30,60}|\bNRAK-[A-Z0-9]{20,40}"
        r"|\b[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,100}|\bkey-[0-9a-f]{32}\b|\bSK[0-9a-f]{32}\b|(?:pul-|sbp_|sq[apu]_|bk[a-z]{2}_)[0-9a-f]{40}"
        r"|(?<![\w.-])SG\.[\w-]{10,60}+\.[\w-]{10,90}|\bnpm_[A-Za-z0-9]{20,255}|\bpypi-[\w-]{40,500}"
        rf"|(?:hf_|sk-(?:proj|svcacct|admin|ant-[a-z0-9]{{2,8}}|or-v1)-|whsec_|sq0[a-z]{{3}}-|lin_api_|NRAK-|npm_){_ALNUM}"
    ),
    regex(
        r"(?:gsk|r8|nfp|ntn|secret|tfp|pnu)_(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{34,100}|xai-(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{60,100}"
        rf"|\bsdk-{_UUID}\b|\bLTAI[A-Za-z0-9]{{16,24}}\b|\bATBB(?=[A-Za-z]{{0,40}}[0-9])[A-Za-z0-9]{{28,40}}\b"
        r"|\b[MNO][A-Za-z0-9]{23,27}\.[\w-]{6}\.[\w-]{27,40}(?![\w-])"  # Discord's bots
        r"|(?<![\w-])eyJ[\w-]{8,2000}+\.[\w-]{8,2000}+(?:\.[\w-]{0,2000}+)?"
        r"|-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----[^-]{0,8000}+"
        r"(?:-----END (?:[A-Z]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?"
        r"|\$(?:2[abxy]|5|6|y|apr1|argon2id?)\$[\w./$,=+-]{20,255}"  # hashes of passwords, as files of users hold them
    ),
)
