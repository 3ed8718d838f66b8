/** The bundler hands a .wasm file over compiled. */
declare module '@cf-wasm/photon/photon.wasm' {
  const photon: WebAssembly.Module;
  export default photon;
}
