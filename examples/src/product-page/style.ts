/**
 * The look of the shop, sent within the page: a page that needs no second request cannot arrive half.
 */
export const style = `
:root{--ink:#14303a;--soft:#4b626b;--paper:#faf7f1;--card:#fff;--line:#e6dfd2;--brass:#83590f;--sea:#0f5560;--sea-deep:#0a3f48;
--calm:#fdf4de;--calm-line:#d9a441;--alarm:#8f1d1d;--alarm-paper:#fdefed;--good:#1f6b45;
--serif:"Iowan Old Style","Palatino Linotype",Palatino,P052,"URW Palladio L",Georgia,serif;
--sans:Inter,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
*{box-sizing:border-box}
body{display:flex;flex-direction:column;min-height:100vh;margin:0;background:var(--paper);color:var(--ink);font:1rem/1.6 var(--sans);-webkit-text-size-adjust:100%}
h1,h2{font-family:var(--serif);font-weight:600;line-height:1.15;margin:0}
h1{font-size:clamp(2.4rem,6vw,3.6rem);letter-spacing:-.01em}
h2{font-size:1.55rem}
p{margin:0}
main{flex:1}
a{color:var(--sea);text-underline-offset:.18em}
a:focus-visible,button:focus-visible{outline:3px solid var(--calm-line);outline-offset:3px}
.wrap{max-width:72rem;width:100%;margin:0 auto;padding-left:1.5rem;padding-right:1.5rem}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--card);padding:.6rem 1rem;z-index:2}

.top{border-bottom:1px solid var(--line);background:var(--card)}
.top .wrap{display:flex;align-items:center;gap:1rem;min-height:4.25rem}
.brand{display:flex;align-items:center;gap:.6rem;font:600 1.35rem var(--serif);color:var(--ink);text-decoration:none}
.mark{width:1.9rem;height:1.9rem}
.motto{color:var(--soft);font-size:.9rem;margin-left:.4rem}
.basket{margin-left:auto;border:1px solid var(--line);border-radius:99px;padding:.35rem .95rem;font-size:.92rem;white-space:nowrap}

.banner{background:var(--calm);border-bottom:1px solid #f0dcae;color:#4c3809;font-size:.95rem}
.banner .wrap{display:flex;gap:.65rem;align-items:center;padding-top:.7rem;padding-bottom:.7rem}
.sign{width:1.2rem;height:1.2rem;flex:none;color:#8a6414}
.notice{display:flex;gap:.6rem;align-items:flex-start;background:var(--calm);border-left:3px solid var(--calm-line);border-radius:0 .5rem .5rem 0;
padding:.65rem .9rem;color:#4c3809;font-size:.94rem;line-height:1.45}
.notice .sign{margin-top:.1rem}

.hero{display:grid;grid-template-columns:minmax(0,1.05fr) minmax(0,1fr);gap:3.5rem;align-items:center;padding:2.75rem 0 3.25rem}
.stage{margin:0;border-radius:1.25rem;background:radial-gradient(120% 90% at 30% 30%,#2b535f 0,#173540 55%,#10262f 100%);padding:1.5rem;overflow:hidden}
.stage svg{display:block;width:100%;max-height:30rem;overflow:visible}
.kind{color:var(--brass);font-weight:600;font-size:.86rem;letter-spacing:.08em;text-transform:uppercase;margin-bottom:.6rem}
.tagline{font-size:1.2rem;color:var(--soft);margin-top:.7rem}
.stars{color:#a8740f;letter-spacing:.12em;font-size:1.02rem}
.rating{display:flex;gap:.6rem;align-items:baseline;margin-top:.9rem;font-size:.94rem}
.offer{display:grid;gap:1rem;margin-top:1.6rem;padding-top:1.6rem;border-top:1px solid var(--line)}
.price{font:600 2.1rem/1.1 var(--serif)}
.price small{font:400 .9rem var(--sans);color:var(--soft);margin-left:.5rem}
.stock{display:flex;gap:.6rem;align-items:center;color:var(--good);font-weight:600}
.stock::before{content:"";width:.6rem;height:.6rem;border-radius:50%;background:currentColor;flex:none}
.stock span{color:var(--soft);font-weight:400}
.button{display:inline-flex;justify-content:center;align-items:center;min-height:3.25rem;padding:.5rem 2rem;border:0;border-radius:.65rem;background:var(--sea);
color:#fff;font:600 1.05rem var(--sans);text-decoration:none;cursor:pointer}
.button:hover{background:var(--sea-deep)}
.offer .button{width:100%}
.promises{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;color:var(--soft);font-size:.92rem}

section{padding:2.5rem 0;border-top:1px solid var(--line)}
section>.wrap>h2{margin-bottom:1.25rem}
.about .wrap{display:grid;grid-template-columns:minmax(0,1.2fr) minmax(0,1fr);gap:1.25rem 3.5rem}
.about h2{grid-column:1/-1;margin:0!important}
.about p{max-width:38rem}
dl{margin:0}
dl div{display:grid;grid-template-columns:7rem 1fr;gap:1rem;padding:.6rem 0;border-bottom:1px solid var(--line)}
dl div:first-child{padding-top:0}
dt{color:var(--soft)}dd{margin:0}
.cards{list-style:none;margin:0;padding:0;display:grid;gap:1.25rem;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr))}
.card{background:var(--card);border:1px solid var(--line);border-radius:1rem;padding:1.25rem}
blockquote{margin:.5rem 0 .8rem}
.by{color:var(--soft);font-size:.92rem}
.aside{margin-bottom:1.25rem;color:var(--soft)}
.pick{display:block;height:100%;color:inherit;text-decoration:none;padding:0;overflow:hidden}
.pick svg{display:block;width:100%;height:11rem;background:#eae4d7}
.pick:hover{border-color:var(--sea)}
.pick div{padding:.9rem 1.25rem 1.1rem}
.pick strong{display:block;font:600 1.15rem var(--serif);color:var(--sea)}
footer{border-top:1px solid var(--line);color:var(--soft);font-size:.9rem;padding:1.75rem 0 2.5rem}

.failed{padding-top:clamp(2rem,7vw,5rem);padding-bottom:clamp(2rem,7vw,5rem)}
.trouble{max-width:46rem;margin:0 auto;background:var(--alarm-paper);border:1px solid #eec4be;border-radius:1rem;box-shadow:inset 0 .45rem 0 var(--alarm);padding:clamp(1.5rem,5vw,3rem)}
.trouble h1{color:var(--alarm);font-size:clamp(1.9rem,5vw,2.7rem)}
.alarm-sign{width:3rem;height:3rem;color:var(--alarm);margin-bottom:1rem}
.trouble p{margin-top:1rem;font-size:1.08rem}
.actions{display:flex;flex-wrap:wrap;gap:1rem 1.5rem;align-items:center;margin-top:1.75rem}
.trouble .button{background:var(--alarm)}.trouble .button:hover{background:#6f1313}

@media (max-width:48rem){
.wrap{padding-left:1.1rem;padding-right:1.1rem}
.motto{display:none}
.hero{grid-template-columns:minmax(0,1fr);gap:1.75rem;padding:1.1rem 0 2rem}
.stage{padding:.75rem}.stage svg{max-height:19rem}
.about .wrap{grid-template-columns:minmax(0,1fr)}
section{padding:2rem 0}
.suggestions .cards{grid-template-columns:repeat(2,minmax(0,1fr));gap:.8rem}
.pick svg{height:8rem}.pick div{padding:.7rem .8rem .9rem}
.actions .button{width:100%}
}
@media (prefers-contrast:more){:root{--soft:#2b3f47;--line:#8b8577}}
`
